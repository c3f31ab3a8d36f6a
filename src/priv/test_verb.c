/* priv/test_verb.c: requests and answers survive the way, and nothing else gets through. */
#include "test.h"

#include "base/str.h"
#include "priv/codec_i.h"
#include "store/code.h"
#include "store/poolxml.h"
#include "store/volxml.h"

/* A pool that says everything comes out the same, seen through its XML. */
TEST(pools_survive)
{
    static const char *const pools[] = {
        "<pool type='dir'><name>p</name><features><cow state='no'/></features><target><path>/a</path>"
        "<permissions><mode>0755</mode><owner>1</owner><group>2</group><label>l</label>"
        "</permissions></target></pool>",
        "<pool type='iscsi'><name>p</name><source><host name='h' port='1'/><host name='i'/>"
        "<device path='d'/><initiator><iqn name='i'/></initiator><auth type='chap' username='u'>"
        "<secret type='iscsi' usage='z'/></auth><vendor name='V'/><product name='P'/></source>"
        "<target><path>/dev</path></target></pool>",
        "<pool type='scsi'><name>p</name><source><adapter type='scsi_host'><parentaddr "
        "unique_id='2'><address domain='0' bus='1' slot='31' function='2'/></parentaddr></adapter>"
        "</source><target><path>/dev</path></target></pool>",
        "<pool type='scsi'><name>p</name><source><adapter type='fc_host' managed='yes' "
        "parent='scsi_host3' wwnn='2000000000000000' wwpn='1000000000000000' parent_fabric_wwn="
        "'2000000000000001'/></source><target><path>/dev</path></target></pool>",
        "<pool type='netfs' xmlns:f='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name>"
        "<source><host name='h'/><dir path='/x'/><format type='nfs'/><protocol ver='4.1'/></source>"
        "<target><path>/m</path></target><f:mount_opts><f:option name='sync'/></f:mount_opts></pool>",
        "<pool type='disk'><name>p</name><source><device path='/d' part_separator='no'/>"
        "<format type='gpt'/></source><target><path>/dev</path></target></pool>",
    };
    for (size_t i = 0; i < N_ELEMS(pools); i++) {
        CLEANUP(pool_done) struct pool pool;
        pool_init(&pool);
        CHECK_OK(pools[i], poolxml_parse(pools[i], strlen(pools[i]), &pool));
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j = pool_encode(&arena, &pool);
        struct pool back;
        CHECK_OK(pools[i], pool_decode(&arena, &j, &back));
        CLEANUP(buf_done) struct buf before = BUF_INIT;
        CLEANUP(buf_done) struct buf after = BUF_INIT;
        pool.uuid = (struct uuid){ { 0 } };
        poolxml_format(&pool, &before);
        poolxml_format(&back, &after);
        CHECK_STR(pools[i], buf_cstr(&after), buf_cstr(&before));
    }
}

TEST(volumes_survive)
{
    static const char xml[] =
        "<volume type='block'><name>v</name><key>k</key><capacity>7</capacity><allocation>3"
        "</allocation><target><path>/p/v</path><format type='qcow2'/><permissions><mode>0600</mode>"
        "<owner>4</owner></permissions><encryption format='luks' engine='qemu'><secret "
        "type='passphrase' usage='u'/><cipher name='aes' size='256' mode='m' hash='h'/><ivgen "
        "name='n' hash='o'/></encryption><compat>1.1</compat><clusterSize>512</clusterSize><nocow/>"
        "<features><lazy_refcounts/><extended_l2/></features></target><backingStore><path>b</path>"
        "<format type='raw'/><permissions><mode>0644</mode></permissions></backingStore></volume>";
    CLEANUP(vol_done) struct vol vol;
    vol_init(&vol);
    CHECK_OK("parse", volxml_parse(xml, strlen(xml), POOL_DIR, 0, &vol));
    struct vol_extent extents[] = { { "/d", 1, 2 } };
    vol.extents = extents;
    vol.n_extents = 1;
    vol.physical = 9;
    vol.error = "oh";
    vol.target.has_times = true;
    vol.target.atime = (struct vol_time){ 5, 6 };
    vol.target.btime = (struct vol_time){ 0, -1 };
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j = vol_encode(&arena, &vol);
    struct vol back;
    CHECK_OK("decode", vol_decode(&arena, &j, &back));
    CLEANUP(buf_done) struct buf before = BUF_INIT;
    CLEANUP(buf_done) struct buf after = BUF_INIT;
    volxml_format(&vol, POOL_DIR, &before);
    volxml_format(&back, POOL_DIR, &after);
    CHECK_STR("same", buf_cstr(&after), buf_cstr(&before));
    CHECK_STR("error", back.error, "oh");
    CHECK("nocow", back.target.nocow);
}

TEST(requests_survive)
{
    struct pool pool;
    pool_init(&pool);
    pool.name = "p";
    pool.target.path = "/p";
    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    for (int verb = 0; verb < N_PRIV_VERBS; verb++) {
        struct priv_request request = {
            .verb = (enum priv_verb) verb,
            .timeout_ms = 5,
            .pool = &pool,
            .vol = &vol,
            .source_pool = &pool,
            .source = &vol,
            .build_flags = BUILD_OVERWRITE,
            .vol_flags = VOL_SHRINK,
            .capacity = 7,
            .offset = 8,
            .length = 9,
            .algorithm = WIPE_DOD,
            .url = "http://h/x",
        };
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j = priv_request_encode(&arena, &request);
        struct priv_request back;
        CHECK_OK(priv_verb_name(request.verb), priv_request_decode(&arena, &j, &back));
        struct json again = priv_request_encode(&arena, &back);
        CHECK(priv_verb_name(request.verb), json_eq(&j, &again));
        CHECK_INT("verb", back.verb, verb);
    }
}

TEST(what_is_refused)
{
#define POOL "\"pool\":{\"type\":\"dir\",\"name\":\"p\",\"target_path\":\"/p\"}"
    static const struct {
        const char *json, *want;
    } rows[] = {
        /* clang-format off */
        { "[]", "syntax: Parsing request failed: Object expected." },
        { "{}", "syntax: Parsing request failed: Required 'verb' member is missing." },
        { "{\"verb\":\"rm\"}", "syntax: Parsing request failed: unknown verb 'rm'" },
        { "{\"verb\":\"pool_start\"}", "syntax: Parsing request failed: Required 'pool' member is missing." },
        { "{\"verb\":\"pool_start\"," POOL ",\"argv\":[\"rm\"]}",
          "syntax: Parsing request failed: Member 'argv' is present but not allowed here." },
        { "{\"verb\":\"pool_start\"," POOL ",\"vol\":{\"name\":\"v\"}}",
          "syntax: Parsing request failed: Member 'vol' is present but not allowed here." },
        { "{\"verb\":\"pool_start\",\"pool\":{\"type\":\"dir\",\"name\":\"p\",\"x\":1}}",
          "syntax: Parsing request failed: Parsing pool failed: Member 'x' is present but not allowed here." },
        { "{\"verb\":\"pool_start\",\"pool\":{\"type\":\"zfs2\",\"name\":\"p\"}}",
          "syntax: Parsing request failed: Parsing pool failed: unknown type of pool 'zfs2'" },
        { "{\"verb\":\"pool_start\",\"pool\":{\"type\":\"dir\",\"name\":\"p\",\"mode\":1023}}",
          "syntax: Parsing request failed: Parsing pool failed: member 'mode' must be -1 to 511" },
        { "{\"verb\":\"vol_delete\"," POOL ",\"vol\":{\"name\":7}}",
          "syntax: Parsing request failed: Parsing volume failed: Type mismatch for member 'name'." },
        { "{\"verb\":\"vol_delete\"," POOL ",\"vol\":{\"name\":\"v\",\"capacity\":-2}}",
          "syntax: Parsing request failed: Parsing volume failed: member 'capacity' must be -1 to 9223372036854775807" },
        { "{\"verb\":\"vol_delete\"," POOL ",\"vol\":{\"name\":\"v\",\"backing\":{\"format\":\"raw\"}}}",
          "syntax: Parsing request failed: Parsing volume failed: Parsing backing store failed: Required 'path' member is missing." },
        { "{\"verb\":\"vol_wipe\"," POOL ",\"vol\":{\"name\":\"v\"},\"algorithm\":\"burn\"}",
          "syntax: Parsing request failed: unknown algorithm 'burn'" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        struct json j;
        CHECK_OK(rows[i].json, json_parse_str(&arena, rows[i].json, &j));
        struct priv_request request;
        CLEANUP(err_drop) struct err *e = priv_request_decode(&arena, &j, &request);
        CLEANUP(free_drop)
        char *got = e ? str_dupf("%s: %s", err_kind_name(err_kind(e)), err_text(e)) : NULL;
        CHECK_STR(rows[i].json, got, rows[i].want);
    }
}

TEST(errors_survive)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct err *e = store_err(VE_VOL_EXISTS, "storage volume 'v' exists already");
    e = err_wrap(err_hint(e, "take another"), "volume 'v' of pool 'p'");
    struct json j = priv_error_encode(&arena, e);
    CLEANUP(err_drop) struct err *back = priv_error_decode(&j);
    CHECK_STR("text", err_text(back), err_text(e));
    CHECK_STR("why", err_why(back), "storage volume 'v' exists already");
    CHECK_STR("next", err_next(back), "take another");
    CHECK_INT("code", err_code(back), VE_VOL_EXISTS);
    CHECK("kind", err_is(back, ERR_EXISTS));
    err_free(e);
}
