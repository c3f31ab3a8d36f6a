/* base/list.h: intrusive doubly linked ring.  The node lies in the struct that is listed; say
 * there whose list it is ("In struct pool's 'volumes'"). */
#ifndef BASE_LIST_H
#define BASE_LIST_H 1

#include "base/base.h"

struct list {
    struct list *prev, *next;
};
#define LIST_INIT(list)                                                                    \
    {                                                                                      \
        (list), (list)                                                                     \
    }

static inline void
list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void
list_insert_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void
list_push_back(struct list *l, struct list *node)
{
    list_insert_before(l, node);
}

static inline void
list_push_front(struct list *l, struct list *node)
{
    list_insert_before(l->next, node);
}

/* Leaves 'node' an empty list, so removing it twice is harmless. */
static inline void
list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *
list_pop_front(struct list *l) /* NULL if empty. */
{
    struct list *node = l->next;
    if (node == l) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* LIST_FOR_EACH (struct x *x, node, &list) { ... }: 'x' must not be removed in the body... */
#define LIST_FOR_EACH(type, var, member, list)                                             \
    for (type *var = CONTAINER_OF((list)->next, type, member); &var->member != (list);     \
         var = CONTAINER_OF(var->member.next, type, member))
/* ... here it may. */
#define LIST_FOR_EACH_SAFE(type, var, member, list)                                        \
    for (type *var = CONTAINER_OF((list)->next, type, member),                             \
              *var##_next = CONTAINER_OF(var->member.next, type, member);                  \
         &var->member != (list);                                                           \
         var = var##_next, var##_next = CONTAINER_OF(var->member.next, type, member))

#endif /* base/list.h */
