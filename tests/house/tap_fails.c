/* A program whose checks must fail: each would pass if its macro tore its condition apart. */
#include "tests/tap.h"

int main(void)
{
    bool no = false, yes = true;
    TAP_OK(no, "plainly false");
    TAP_OK(no || no, "an or of two falsehoods, which !cond without parentheses lets pass");
    TAP_OK(yes ? no : yes, "a choice");
    TAP_OK(0.4 > 0.5, "not made an integer by a cast to the left operand");
    TAP_OK(1 << 3 == 4 || no, "operators of low precedence");
    return tap_done();
}
