/* xml/library.c: libxml2, loaded when the first document is read.
 *
 * A program that is linked with it brings in ICU and the C++ library at each start, a millisecond of
 * five, and most commands of `byre` never see a document.  Refused: a parser of our own; what libvirt
 * accepts and how it words what it refuses is libxml2's doing. */
#include "xml/library_i.h"

#include <dlfcn.h>
#include <pthread.h>

/* The one whose headers this was built with: from 2.14 on its binary interface is another. */
#if LIBXML_VERSION >= 21400
#define SONAME "libxml2.so.16"
#else
#define SONAME "libxml2.so.2"
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct library the_library;
static bool is_there;

static const struct {
    const char *name;
    size_t offset; /* In struct library. */
} symbols[] = {
    /* clang-format off */
    { "xmlCtxtReadMemory",    offsetof(struct library, ctxt_read_memory) },
    { "xmlDocGetRootElement", offsetof(struct library, doc_get_root_element) },
    { "xmlFreeDoc",           offsetof(struct library, free_doc) },
    { "xmlFreeParserCtxt",    offsetof(struct library, free_parser_ctxt) },
    { "xmlGetLineNo",         offsetof(struct library, get_line_no) },
    { "xmlNewParserCtxt",     offsetof(struct library, new_parser_ctxt) },
    { "xmlNodeGetContent",    offsetof(struct library, node_get_content) },
    { "xmlStopParser",        offsetof(struct library, stop_parser) },
    { "xmlFree",              offsetof(struct library, free) },
    /* clang-format on */
};

static void
load(void)
{
    void *handle = dlopen(SONAME, RTLD_LAZY | RTLD_LOCAL);
    is_there = handle != NULL;
    for (size_t i = 0; is_there && i < N_ELEMS(symbols); i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        memcpy((char *) &the_library + symbols[i].offset, &symbol, sizeof symbol);
        is_there = symbol != NULL;
    }
}

struct err *
library_get(const struct library **ret_library)
{
    pthread_once(&once, load);
    if (!is_there) {
        return err_hint(err_new(ERR_UNSUPPORTED, "XML cannot be read: there is no " SONAME),
                        "install libxml2");
    }
    *ret_library = &the_library;
    return NULL;
}
