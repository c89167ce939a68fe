#include "weave_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weave_sched.h"

/* At most three per step: who runs, what is read, who is woken. */
#define CHOICES_MAX (4 * WEAVE_STEPS_MAX)

static struct {
    uint8_t way[CHOICES_MAX];
    uint8_t count[CHOICES_MAX]; /* 0: prescribed, not yet known */
    uint16_t step[CHOICES_MAX]; /* when it was made */
    unsigned depth;             /* choices made in this execution */
    unsigned length;            /* choices on the stack */
    bool random;
    uint64_t state;
} stack;

void weave_choice_search(void)
{
    stack.depth = stack.length = 0;
    stack.random = false;
}

void weave_choice_random(uint64_t seed)
{
    weave_choice_search();
    stack.random = true;
    stack.state = seed;
}

bool weave_choice_prescribe(const char *text)
{
    weave_choice_search();
    while (*text) {
        char *end;
        unsigned long depth = strtoul(text, &end, 10);
        if (end == text || *end != '=' || depth >= CHOICES_MAX || depth < stack.length)
            return false;
        text = end + 1;
        unsigned long way = strtoul(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0') || way > UINT8_MAX)
            return false;
        memset(stack.way + stack.length, 0, depth - stack.length);
        memset(stack.count + stack.length, 0, depth + 1 - stack.length);
        stack.way[depth] = (uint8_t)way;
        stack.length = (unsigned)depth + 1;
        text = *end ? end + 1 : end;
    }
    return true;
}

void weave_choice_rewind(void)
{
    stack.depth = 0;
    if (stack.random)
        stack.length = 0;
}

bool weave_choice_advance(void)
{
    if (stack.random)
        return true;
    while (stack.length && stack.way[stack.length - 1] + 1 >= stack.count[stack.length - 1])
        stack.length--;
    if (!stack.length)
        return false;
    stack.way[stack.length - 1]++;
    return true;
}

/* xorshift64*. Way 0 is likely (go on, read the newest): the bounds are spent along the whole
 * execution and not in its first steps. */
static unsigned draw(unsigned count)
{
    stack.state ^= stack.state >> 12;
    stack.state ^= stack.state << 25;
    stack.state ^= stack.state >> 27;
    uint32_t high = (uint32_t)((stack.state * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
    return (high & 7) < 5 ? 0 : (high >> 3) % count;
}

static _Noreturn void fail_to_repeat(unsigned at)
{
    weave_fail("choice %u differs from the one before: the case is not deterministic, or the "
               "prescribed choices belong to another",
               at);
}

void weave_choice_end(void)
{
    if (stack.depth < stack.length)
        fail_to_repeat(stack.depth);
}

unsigned weave_choose(unsigned count)
{
    if (count < 2)
        return 0;
    unsigned at = stack.depth;
    uint16_t step = (uint16_t)weave_sched_step();
    if (at == CHOICES_MAX)
        weave_fail("more than %d choices in one execution", CHOICES_MAX);
    if (at < stack.length) {
        if (stack.count[at] == 0) {
            stack.count[at] = (uint8_t)count;
            stack.step[at] = step;
        }
        if (stack.count[at] != count || stack.step[at] != step || stack.way[at] >= count)
            fail_to_repeat(at);
    } else {
        stack.way[at] = (uint8_t)(stack.random ? draw(count) : 0);
        stack.count[at] = (uint8_t)count;
        stack.step[at] = step;
        stack.length = at + 1;
    }
    stack.depth = at + 1;
    return stack.way[at];
}

void weave_choice_write(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < stack.depth; i++) {
        if (!stack.way[i])
            continue;
        char item[32];
        int n = snprintf(item, sizeof item, "%s%u=%u", used ? "," : "", i, stack.way[i]);
        if (used + (size_t)n + 4 > size) {
            memcpy(out + used, "...", 4);
            return;
        }
        memcpy(out + used, item, (size_t)n + 1);
        used += (size_t)n;
    }
}
