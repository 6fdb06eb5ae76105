/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/status.h"
#include "test.h"

TEST(every_code_has_its_canonical_name)
{
    CHECK_TEXT(mesh_status_name(MESH_OK), "OK");
    CHECK_TEXT(mesh_status_name(MESH_CANCELLED), "CANCELLED");
    CHECK_TEXT(mesh_status_name(MESH_RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
    CHECK_TEXT(mesh_status_name(MESH_UNAUTHENTICATED), "UNAUTHENTICATED");
    for (int i = 0; i <= 16; i++) {
        CHECK(mesh_status_name((enum mesh_status)i)[0] != '\0');
    }
}

TEST(a_number_that_is_no_code_is_unknown)
{
    CHECK_TEXT(mesh_status_name((enum mesh_status)17), "UNKNOWN");
    CHECK_TEXT(mesh_status_name((enum mesh_status) - 1), "UNKNOWN");
}

/* go-grpc-prometheus' values of grpc_code: dashboards made for it work unchanged. */
TEST(every_code_has_its_label_in_metrics)
{
    static const char *const labels[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};

    for (int i = 0; i <= 16; i++) {
        CHECK_TEXT(mesh_status_label((enum mesh_status)i), labels[i]);
    }
    CHECK_TEXT(mesh_status_label((enum mesh_status)17), "Unknown");
    CHECK_TEXT(mesh_status_label((enum mesh_status) - 1), "Unknown");
}

static enum mesh_status try_twice(enum mesh_status first, int *ret_reached)
{
    MESH_TRY(first);
    *ret_reached = 1;
    return MESH_OK;
}

TEST(try_leaves_the_function_only_on_failure)
{
    int reached = 0;

    CHECK(try_twice(MESH_ABORTED, &reached) == MESH_ABORTED);
    CHECK_INT(reached, 0);
    CHECK(try_twice(MESH_OK, &reached) == MESH_OK);
    CHECK_INT(reached, 1);
}

TEST_MAIN(NULL, NULL)
