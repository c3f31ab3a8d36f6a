/* dbserver/test_server.c: a relay that has not reached its source yet has no database: whoever looks at
 * all databases must see that. */
#include "base/fs.h"
#include "dbserver/commands_i.h"
#include "dbserver/server_i.h"
#include "test.h"

static void
on_stop(void *aux UNUSED, struct err *e)
{
    err_free(e);
}

/* A server with such a relay, in '*ret_loop'. */
static struct dbserver *
start(struct loop **ret_loop)
{
    CLEANUP(free_drop) char *socket = path_join(test_dir(), "nobody");
    CLEANUP(free_drop) char *relay = str_dupf("relay:T:unix:%s", socket);
    struct dbserver_config config = { .name = "test", .stop = on_stop };
    struct dbserver *s;

    CHECK_OK("loop", loop_new(ret_loop));
    CHECK_OK("server", dbserver_new(*ret_loop, &config, &s));
    CHECK_OK("relay", dbserver_add_db(s, relay));
    return s;
}

static void
end(struct dbserver *s, struct loop *loop)
{
    dbserver_free(s);
    loop_free(loop);
}

TEST(upkeep_before_a_relay_has_its_source)
{
    struct loop *loop;
    struct dbserver *s = start(&loop);
    server_upkeep(s);
    CHECK("still there", server_find_db(s, "T") && !server_find_db(s, "T")->db);
    end(s, loop);
}

TEST(remotes_and_keys_from_a_relay_that_has_no_source_yet)
{
    struct loop *loop;
    struct dbserver *s = start(&loop);
    CHECK_OK("they may come", dbserver_add_remote(s, "db:T,U,remotes"));
    CHECK_OK("twice is once", dbserver_add_remote(s, "db:T,U,remotes"));
    dbremotes_changed(s);
    CHECK_OK("and go", dbserver_remove_remote(s, "db:T,U,remotes"));
    end(s, loop);
}
