/* json/json_i.h: what the files of this room share. */
#ifndef JSON_JSON_I_H
#define JSON_JSON_I_H 1

#include "json/json.h"

/* Reads the number that begins at 'text' and ends before 'end' (which need not be readable).
 * Returns where it ended, or NULL with a reason in *ret_why. */
const char *json_number_parse(const char *text, const char *end, struct json *ret,
                              const char **ret_why);

#endif /* json/json_i.h */
