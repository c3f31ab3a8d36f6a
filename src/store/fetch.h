/* store/fetch.h: where an image may come from.  Pure. */
#ifndef STORE_FETCH_H
#define STORE_FETCH_H 1

#include "base/base.h"

#define FETCH_URL_MAX 2048

/* May the URL be fetched: http or https, plain characters, a host, and no user's name or password
 * in it, because what asks for it is shown and logged?  'sha256' (NULL: none) must be 64 small
 * hexadecimal digits.  ERR_SYNTAX with a hint. */
struct err *fetch_check(const char *url, const char *sha256) MUST_CHECK;
/* The last part of the URL's path, "" if there is none.  In 'room'. */
const char *fetch_base(const char *url, char *room, size_t n_room);

/* The digest that a list such as SHA256SUMS gives for 'name':
 *     b0b8...  debian-12-generic-amd64.qcow2
 *     b0b8... *debian-12-generic-amd64.qcow2
 *     SHA256 (debian-12-generic-amd64.qcow2) = b0b8...
 * ERR_NOT_FOUND if it names none. */
struct err *fetch_find_sum(const char *list, const char *name, char ret[65]) MUST_CHECK;

#endif /* store/fetch.h */
