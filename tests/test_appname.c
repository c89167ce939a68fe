/* Rules 2.1 and 2.2: the names of applications. */
#include <criterion/criterion.h>

#include <locale.h>
#include <string.h>

#include "engine/core/appname.h"

static void of_worker(const char *worker, const char *wanted)
{
    char out[64];
    cr_assert(tq_appname_of_worker(worker, out, sizeof out));
    cr_assert_str_eq(out, wanted);
}
static void normal(const char *name, const char *wanted)
{
    char out[64];
    cr_assert(tq_appname_normalise(name, out, sizeof out));
    cr_assert_str_eq(out, wanted);
}

Test(appname, what_is_no_word_character_becomes_an_underscore_and_capitals_small)
{
    normal("account", "account");
    normal("My-App 2", "my_app_2");
    normal("::", "__");
    normal("\xC3\xA9", "__");
    normal("_a_", "_a_");
    normal("AZaz09", "azaz09");
    normal("@[`{/:", "______");
}

Test(appname, a_locale_changes_nothing)
{
    setlocale(LC_ALL, "tr_TR.UTF-8");
    normal("INFO", "info");
    of_worker("INFO::X", "info");
}

Test(appname, the_first_part_of_a_worker_is_underscored)
{
    of_worker("Account::GeocodeWorker", "account");
    of_worker("BusDriver::Beat", "bus_driver");
    of_worker("HTTPServer::X", "http_server");
    of_worker("X2Y::Z", "x2_y");
    of_worker("ABC::Z", "abc");
    of_worker("aBC::Z", "a_bc");
    of_worker("A::B::C", "a");
    of_worker("My-App::X", "my_app");
}

Test(appname, a_worker_without_parts_is_of_worker)
{
    of_worker("GeocodeWorker", "worker");
    of_worker("::Top", "worker");
    of_worker("A:B", "worker");
}

Test(appname, what_has_no_room_is_refused)
{
    char out[8];
    cr_assert(tq_appname_normalise("1234567", out, sizeof out));
    cr_assert_not(tq_appname_normalise("12345678", out, sizeof out));
    cr_assert_not(tq_appname_normalise("", out, sizeof out));
    cr_assert(tq_appname_of_worker("abcdef::x", out, sizeof out));
    cr_assert_not(tq_appname_of_worker("abcdefgh::x", out, sizeof out));
    cr_assert_not(tq_appname_of_worker("AbCdEfG::x", out, sizeof out));
    cr_assert(tq_appname_of_worker("x", out, 7));
    cr_assert_not(tq_appname_of_worker("x", out, 6));
}
