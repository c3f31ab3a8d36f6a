/* xml/library_i.h: libxml2, loaded when the first document is read. */
#ifndef XML_LIBRARY_I_H
#define XML_LIBRARY_I_H 1

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/base.h"

struct library {
    __typeof__(&xmlCtxtReadMemory) ctxt_read_memory;
    __typeof__(&xmlDocGetRootElement) doc_get_root_element;
    __typeof__(&xmlFreeDoc) free_doc;
    __typeof__(&xmlFreeParserCtxt) free_parser_ctxt;
    __typeof__(&xmlGetLineNo) get_line_no;
    __typeof__(&xmlNewParserCtxt) new_parser_ctxt;
    __typeof__(&xmlNodeGetContent) node_get_content;
    __typeof__(&xmlStopParser) stop_parser;
    __typeof__(&xmlFree) free; /* Itself a variable. */
};

/* The one library, for good.  ERR_UNSUPPORTED: it is not there.  Thread-safe. */
struct err *library_get(const struct library **ret_library) MUST_CHECK;

#endif /* xml/library_i.h */
