/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "fake_runtime.h"
#include "generator/features_events.mesh.h"
#include "generator/inbox.mesh.h"
#include "test.h"

struct test_listener_v1_service {
    const void *seen;
};

static struct mesh_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

TEST(an_event_knows_its_names_and_where_it_comes_from)
{
    const struct mesh_event_type *type = &features_event_thing_made;

    CHECK_TEXT(type->name, "ThingMade");
    CHECK_TEXT(type->full_name, "test.features.v1.ThingMade");
    CHECK_TEXT(type->system, "test");
    CHECK_TEXT(type->source, "features");
    CHECK(type->descriptor == &features__thing_made__descriptor);
}

TEST(key_and_version_are_read_through_their_offsets)
{
    Features__ThingMade event = FEATURES__THING_MADE__INIT;
    const char *start = (const char *)&event;

    event.thing_id = "id";
    event.version = 7;
    CHECK_TEXT(*(const char *const *)(const void *)(start + features_event_thing_made.key_offset),
               "id");
    CHECK_INT(*(const int64_t *)(const void *)(start + features_event_thing_made.version_offset),
              7);
    CHECK_INT(features_event_thing_lost.version_offset, -1);
}

TEST(an_emitter_hands_the_event_to_the_outbox)
{
    Features__ThingLost event = FEATURES__THING_LOST__INIT;

    fake = (struct fake_runtime){.status = MESH_INTERNAL};
    CHECK(features_emit_thing_lost(ctx, fake_tx, &event) == MESH_INTERNAL);
    CHECK_TEXT(fake.call, "emit");
    CHECK(fake.object == fake_tx && fake.message == &event);
    CHECK(fake.event == &features_event_thing_lost);
}

static enum mesh_status on_made(struct mesh_ctx *given, struct test_listener_v1_service *service,
                                struct mesh_tx *tx, const Features__ThingMade *event)
{
    CHECK(given == ctx && tx == fake_tx);
    service->seen = event;
    return MESH_OK;
}

TEST(the_inbox_leads_each_event_to_its_handler)
{
    static const struct test_listener_v1_inbox_handlers handlers = {.thing_made = on_made};
    struct test_listener_v1_service service = {0};
    Features__ThingMade event = FEATURES__THING_MADE__INIT;
    const struct mesh_inbox_type *inbox = &test_listener_v1_inbox_type;

    CHECK_INT(inbox->n_entries, 2);
    CHECK(inbox->entries[0].event == &features_event_thing_made);
    CHECK(inbox->entries[1].event == &features_event_thing_lost);
    CHECK(inbox->entries[0].dispatch(ctx, &handlers, &service, fake_tx, &event.base) == MESH_OK);
    CHECK(service.seen == &event);
    CHECK(inbox->entries[1].dispatch(ctx, &handlers, &service, fake_tx, &event.base) ==
          MESH_UNIMPLEMENTED);
}

TEST_MAIN(setup, teardown)
