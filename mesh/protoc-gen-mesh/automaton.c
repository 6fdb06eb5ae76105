/* SPDX-License-Identifier: Apache-2.0 */
/* From a pattern's tree to the steps of an automaton, each written after those that follow it. */
#include "mesh/validate.h"
#include "pattern.h"

struct automaton {
    struct mesh_pattern_step steps[MESH_PATTERN_STEPS_MAX];
    uint16_t n;
    bool full;
};

static uint16_t add(struct automaton *automaton, struct mesh_pattern_step step)
{
    if (automaton->n == MESH_PATTERN_STEPS_MAX) {
        automaton->full = true;
        return 0;
    }
    automaton->steps[automaton->n] = step;
    return automaton->n++;
}

static uint16_t build(struct automaton *automaton, const struct node *node, uint16_t next);

/* As often as there is text; once at least if `once`. */
static uint16_t build_loop(struct automaton *automaton, const struct node *inside, bool once,
                           uint16_t next)
{
    uint16_t loop = add(automaton, (struct mesh_pattern_step){MESH_PATTERN_EITHER, 0, next, 0});
    uint16_t body = build(automaton, inside, loop);

    automaton->steps[loop].next = body;
    return once ? body : loop;
}

static uint16_t build_repeat(struct automaton *automaton, const struct node *repeat, uint16_t next)
{
    const bool endless = repeat->max == NO_LIMIT;
    const bool once = endless && repeat->min > 0;
    const uint16_t end = next;

    if (endless) {
        next = build_loop(automaton, repeat->inside, once, next);
    }
    for (uint16_t i = repeat->min; !endless && i < repeat->max && !automaton->full; i++) {
        const uint16_t body = build(automaton, repeat->inside, next);

        next = add(automaton, (struct mesh_pattern_step){MESH_PATTERN_EITHER, body, end, 0});
    }
    for (uint16_t i = once ? 1 : 0; i < repeat->min && !automaton->full; i++) {
        const uint16_t body = build(automaton, repeat->inside, next);

        if (body == next) {
            break; /* nothing, however often */
        }
        next = body;
    }
    return next;
}

static uint16_t build_either(struct automaton *automaton, const struct node *either, uint16_t next)
{
    uint16_t ways = build(automaton, either->inside, next);

    for (const struct node *way = either->inside->before; way != NULL; way = way->before) {
        const uint16_t other = build(automaton, way, next);

        ways = add(automaton, (struct mesh_pattern_step){MESH_PATTERN_EITHER, ways, other, 0});
    }
    return ways;
}

/* The step where the node begins; it goes on at next. */
static uint16_t build(struct automaton *automaton, const struct node *node, uint16_t next)
{
    switch (node->kind) {
    case NODE_BEGIN:
        return add(automaton, (struct mesh_pattern_step){MESH_PATTERN_BEGIN, next, 0, 0});
    case NODE_END:
        return add(automaton, (struct mesh_pattern_step){MESH_PATTERN_END, next, 0, 0});
    case NODE_SEQUENCE:
        for (const struct node *part = node->inside; part != NULL; part = part->before) {
            next = build(automaton, part, next);
        }
        return next;
    case NODE_EITHER:
        return build_either(automaton, node, next);
    case NODE_REPEAT:
        return build_repeat(automaton, node, next);
    case NODE_CHARACTER:
    default:
        return add(automaton, (struct mesh_pattern_step){MESH_PATTERN_CHARACTER, next,
                                                         node->first_range, node->n_ranges});
    }
}

static void emit_steps(struct text *out, const char *indent, const struct automaton *automaton)
{
    static const char *const kinds[] = {"MATCHED", "CHARACTER", "EITHER", "BEGIN", "END"};

    text_printf(out, "%sstatic const struct mesh_pattern_step steps[] = {\n", indent);
    for (size_t i = 0; i < automaton->n; i++) {
        const struct mesh_pattern_step *step = &automaton->steps[i];

        text_printf(out, "%s    {MESH_PATTERN_%s, %u, %u, %u},\n", indent, kinds[step->kind],
                    step->next, step->other, step->n_ranges);
    }
    text_printf(out, "%s};\n", indent);
}

static void emit_ranges(struct text *out, const char *indent, const struct set *ranges)
{
    text_printf(out, "%sstatic const struct mesh_pattern_range ranges[] = {\n", indent);
    for (size_t i = 0; i < ranges->n; i++) {
        text_printf(out, "%s    {0x%x, 0x%x},\n", indent, ranges->all[i].first,
                    ranges->all[i].last);
    }
    text_printf(out, "%s    {1, 0}, /* no character */\n%s};\n", indent, indent);
}

bool emit_automaton(struct text *out, const char *indent, const struct pattern *pattern)
{
    struct automaton *automaton = gen_alloc(sizeof(*automaton));
    uint16_t start;

    start = build(automaton, pattern->root,
                  add(automaton, (struct mesh_pattern_step){MESH_PATTERN_MATCHED, 0, 0, 0}));
    if (automaton->full) {
        return false;
    }
    emit_steps(out, indent, automaton);
    emit_ranges(out, indent, &pattern->ranges);
    text_printf(out,
                "%sstatic const struct mesh_pattern pattern = {steps, %u, %u, %s, ranges};\n\n",
                indent, automaton->n, start, pattern_is_anchored(pattern) ? "true" : "false");
    return true;
}
