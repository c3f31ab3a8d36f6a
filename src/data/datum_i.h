/* data/datum_i.h: how the files of this room fill a datum in place. */
#ifndef DATA_DATUM_I_H
#define DATA_DATUM_I_H 1

#include "data/datum.h"

/* An empty datum of its own with room for 'cap' elements; fill the atoms, then set 'n'. */
void datum_reserve(struct datum *ret, const struct type *, uint32_t cap);
union atom *datum_keys_w(struct datum *);
union atom *datum_values_w(struct datum *); /* Only with a block. */
/* After it the block, if any, has no other holder. */
void datum_unshare(struct datum *, const struct type *);
/* Gives back memory if much of the block is unused. */
void datum_fit(struct datum *, const struct type *);

/* Sorts the 'n' first elements; false if two keys are equal. */
bool datum_sort(struct datum *, const struct type *);

#endif /* data/datum_i.h */
