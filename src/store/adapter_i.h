/* store/adapter_i.h: <adapter> of a scsi pool. */
#ifndef STORE_ADAPTER_I_H
#define STORE_ADAPTER_I_H 1

#include "store/pool.h"
#include "xml/tree.h"
#include "xml/writer.h"

struct err *adapter_parse(struct arena *, const struct xml_node *,
                          struct pool_adapter *ret) MUST_CHECK;
/* What a scsi pool needs of its adapter; parsing alone does not demand it. */
struct err *adapter_check(const struct pool_adapter *) MUST_CHECK;
void adapter_format(const struct pool_adapter *, struct xml_writer *);

#endif /* store/adapter_i.h */
