/* cli/out_print_i.h: one function a format; out.c chooses. */
#ifndef CLI_OUT_PRINT_I_H
#define CLI_OUT_PRINT_I_H 1

#include "cli/out_i.h"

void out_print_table(const struct out_table *, const struct out_style *, FILE *);
void out_print_json(const struct out_table *, const struct out_style *, FILE *);
void out_print_jsonl(const struct out_table *, FILE *);
void out_print_csv(const struct out_table *, const struct out_style *, FILE *);
void out_print_yaml(const struct out_table *, const struct out_style *, FILE *);
void out_print_names(const struct out_table *, FILE *);

#endif /* cli/out_print_i.h */
