/* store/poolcaps.c: what virsh pool-capabilities prints: each type of pool with its formats. */
#include "store/pool_ops.h"
#include "store/poolxml.h"
#include "xml/writer.h"

static void
put_formats(struct xml_writer *w, const char *element, const char *list, const char *def,
            const char *const *formats)
{
    if (!formats) {
        return;
    }
    xml_open(w, element);
    xml_open(w, "defaultFormat");
    xml_put(w, "type", def);
    xml_close(w);
    xml_open(w, "enum");
    xml_put(w, "name", list);
    for (; *formats; formats++) {
        xml_leaf(w, "value", *formats);
    }
    xml_close_wide(w);
    xml_close(w);
}

void
poolcaps_format(struct buf *out)
{
    struct xml_writer w;
    xml_writer_init(&w, out);
    xml_open(&w, "storagepoolCapabilities");
    for (int i = 0; i < N_POOL_TYPES; i++) {
        enum pool_type type = (enum pool_type) i;
        const struct pool_traits *traits = pool_traits(type);
        xml_open(&w, "pool");
        xml_put(&w, "type", traits->name);
        xml_put(&w, "supported", pool_ops_find(type) ? "yes" : "no");
        put_formats(&w, "poolOptions", "sourceFormatType", traits->default_format,
                    traits->formats);
        /* libvirt's list of rbd's formats is empty, and sheepdog has none. */
        static const char *const none[] = { NULL };
        if (type != POOL_SHEEPDOG) {
            put_formats(&w, "volOptions", "targetFormatType", traits->default_vol_format,
                        type == POOL_RBD ? none : traits->vol_formats);
        }
        xml_close_wide(&w);
    }
    xml_close(&w);
}
