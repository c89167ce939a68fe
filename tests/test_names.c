/* engine/core/names: a set of names that many read while one adds. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/core/names.h"

enum { MANY = 3000 };

static struct tq_memory memory;
static ck_epoch_t epoch;
static ck_epoch_record_t writer, reader;
static struct tq_names names;
static struct tq_name name[MANY];
static char text[MANY][12];

static void set_up(void)
{
    tq_memory_init(&memory, NULL);
    ck_epoch_init(&epoch);
    ck_epoch_register(&epoch, &writer, NULL);
    ck_epoch_register(&epoch, &reader, NULL);
    cr_assert(tq_names_init(&names, &memory, 42, &writer));
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "app%d_%d", i % 7, i);
        name[i] = (struct tq_name){.text = text[i], .size = strlen(text[i])};
    }
}
static void tear_down(void)
{
    tq_names_fini(&names);
    ck_epoch_reclaim(&writer);
}
TestSuite(names, .init = set_up, .fini = tear_down);

static const struct tq_name *get(const char *first, const char *second)
{
    return tq_names_get(&names, &reader, first, second);
}

Test(names, what_was_put_is_found_once_it_is_published)
{
    cr_assert(tq_names_put(&names, &name[0]));
    cr_assert_null(get("app0_0", NULL));
    tq_names_publish(&name[0]);
    cr_assert_eq(get("app0_0", NULL), &name[0]);
    cr_assert_null(get("app0_", NULL));
    cr_assert_null(get("app0_00", NULL));
    cr_assert_null(get("", NULL));
}

Test(names, a_name_in_two_parts_is_the_joined_one)
{
    cr_assert(tq_names_put(&names, &name[8]));
    tq_names_publish(&name[8]);
    cr_assert_eq(get("app1", "8"), &name[8]);
    cr_assert_null(get("app1", "9"));
    cr_assert_null(get("app", "1_8"));
    cr_assert_null(get("app1_8", ""));
    cr_assert_null(get("", "app1_8"));
}

Test(names, many_are_found_while_the_set_grows_and_what_was_taken_back_is_not)
{
    for (int i = 0; i < MANY; i++) {
        cr_assert(tq_names_put(&names, &name[i]));
        if (i % 3 == 0)
            tq_names_remove(&names, &name[i]);
        else
            tq_names_publish(&name[i]);
        ck_epoch_poll(&writer);
        int old = i * 7 / 11;
        cr_assert_eq(get(text[old], NULL), old % 3 ? &name[old] : NULL);
    }
    for (int i = 0; i < MANY; i++) {
        char app[8], number[8];
        snprintf(app, sizeof app, "app%d", i % 7);
        snprintf(number, sizeof number, "%d", i);
        cr_assert_eq(get(app, number), i % 3 ? &name[i] : NULL);
    }
}
