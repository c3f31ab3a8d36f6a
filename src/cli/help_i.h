/* cli/help_i.h: help, made from the table of commands. */
#ifndef CLI_HELP_I_H
#define CLI_HELP_I_H 1

#include <stdio.h>

#include "cli/command_i.h"

void help_overview(FILE *);
void help_version(FILE *);
bool help_noun(const char *noun, FILE *); /* False: there is no such noun. */
void help_command(const struct command *, FILE *);

#endif /* cli/help_i.h */
