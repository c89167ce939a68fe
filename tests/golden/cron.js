// Makes cron.txt: what cron expressions do around changes of the clock, by two oracles that are not ours.
//
//     npm install cron-parser && node cron.js >cron.txt
//
// 1. npm's cron-parser, which reads the expressions and says when they fire, by the time zones in node's ICU.
// 2. The rule of engine/core/cron.h, written down as plainly as possible: a walk through every minute, over the fields
//    that cron-parser has read and the same ICU's clock.
// Both are asked for at most 6 firings in the 5 days after a time near a change. The changes are of 2015 to 2024, so
// that new laws do not touch them. Not run by the tests.
'use strict';
const { CronExpressionParser: Parser } = require('cron-parser');
const version = require('cron-parser/package.json').version;

const MINUTE = 60000, DAY = 86400000, COUNT = 6, WINDOW = 5 * DAY, PER_ZONE = 80;
const FIRST = Date.UTC(2015, 0, 5), LAST = Date.UTC(2024, 11, 20);
const zones = `America/New_York America/Los_Angeles America/Sao_Paulo America/Havana America/Santiago
America/St_Johns America/Asuncion America/Caracas America/Nuuk Atlantic/Azores Europe/Berlin Europe/London
Europe/Dublin Europe/Chisinau Europe/Istanbul Europe/Volgograd Asia/Tehran Asia/Beirut Asia/Amman Asia/Jerusalem
Asia/Pyongyang Africa/Cairo Africa/Casablanca Australia/Sydney Australia/Lord_Howe Pacific/Auckland
Pacific/Chatham Pacific/Apia Pacific/Norfolk Antarctica/Troll`.split(/\s+/);

// ---- chance, the same in each run

let seed = 4;
function random(n) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 4294967296 * n);
}
const pick = (list) => list[random(list.length)];

// ---- the clock of a zone

const formats = {}, offsets = {};
function offsetAt(zone, t) { // ms; every change of these years is on a quarter of an hour
    const quarter = Math.floor(t / (15 * MINUTE)) * 15 * MINUTE, key = zone + quarter;
    if (!(key in offsets)) {
        formats[zone] ??= new Intl.DateTimeFormat('en-US', {
            timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric',
            hour: 'numeric', minute: 'numeric', second: 'numeric' });
        const p = {};
        for (const { type, value } of formats[zone].formatToParts(quarter))
            p[type] = +value;
        offsets[key] = Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - quarter;
    }
    return offsets[key];
}
function changes(zone) {
    const found = [];
    for (let t = FIRST; t < LAST; t += DAY)
        if (offsetAt(zone, t) !== offsetAt(zone, t + DAY)) {
            let low = t, high = t + DAY;
            while (high - low > 15 * MINUTE) {
                const middle = low + Math.floor((high - low) / 2 / (15 * MINUTE)) * 15 * MINUTE;
                if (offsetAt(zone, middle) === offsetAt(zone, t)) low = middle; else high = middle;
            }
            found.push(high);
        }
    return found;
}

// ---- the rule

const star = (text) => /[*?]/.test(text);
function byRule(expression, zone, from, until) {
    const texts = expression.split(' ');
    const fields = Parser.parse(expression).fields;
    const either = !star(texts.at(-3)) && !star(texts.at(-1));
    const everyHour = fields.hour.values.length === 24;
    const counts = everyHour || /[*?/]/.test(texts.at(-4));
    const seconds = fields.second.values;
    const matches = (local) => {
        const d = new Date(local);
        const ofMonth = fields.dayOfMonth.values.includes(d.getUTCDate());
        const ofWeek = fields.dayOfWeek.values.some((w) => w % 7 === d.getUTCDay());
        return fields.minute.values.includes(d.getUTCMinutes()) && fields.hour.values.includes(d.getUTCHours()) &&
            fields.month.values.includes(d.getUTCMonth() + 1) && (either ? ofMonth || ofWeek : ofMonth && ofWeek);
    };
    const fired = new Set();
    let shown = -Infinity; // the clock has shown all minutes before this one
    for (let t = Math.floor(from / MINUTE) * MINUTE - 3 * DAY; t < until && fired.size < COUNT + 60; t += MINUTE) {
        const local = t + offsetAt(zone, t);
        if (t > from - DAY) {
            if (shown < local && !everyHour)
                for (let skipped = shown; skipped < local; skipped += MINUTE)
                    if (matches(skipped)) fired.add(t);
            if (matches(local) && (counts || shown <= local))
                for (const s of seconds) fired.add(t + 1000 * s);
        }
        shown = Math.max(shown, local + MINUTE);
        for (const f of fired) if (f <= from) fired.delete(f);
    }
    return [...fired].sort((a, b) => a - b).filter((f) => f < until).slice(0, COUNT);
}

function byParser(expression, zone, from, until) {
    const cron = Parser.parse(expression, { currentDate: new Date(from), tz: zone });
    return cron.take(COUNT).map((d) => d.getTime()).filter((t) => t < until);
}

// In UTC, day by day, for expressions with one hour and one minute.
function byDays(expression, from, until) {
    const found = [], fields = Parser.parse(expression).fields, texts = expression.split(' ');
    const either = !star(texts.at(-3)) && !star(texts.at(-1));
    for (let day = Math.floor(from / DAY) * DAY; day < until && found.length < COUNT; day += DAY) {
        const d = new Date(day), t = day + (fields.hour.values[0] * 60 + fields.minute.values[0]) * MINUTE;
        const ofMonth = fields.dayOfMonth.values.includes(d.getUTCDate());
        const ofWeek = fields.dayOfWeek.values.some((w) => w % 7 === d.getUTCDay());
        if (fields.month.values.includes(d.getUTCMonth() + 1) && (either ? ofMonth || ofWeek : ofMonth && ofWeek) &&
            t > from && t < until)
            found.push(t);
    }
    return found;
}

// ---- expressions

// cron-parser objects to a value that comes twice, and to some days that there are not.
function readable(text) {
    try { Parser.parse(text); return true; } catch (e) { return false; }
}

function some(low, high, n) {
    const values = new Set();
    while (values.size < n) values.add(low + random(high - low + 1));
    return [...values].sort((a, b) => a - b).join(',');
}
function range(low, high) {
    const a = low + random(high - low + 1);
    return `${a}-${a + random(high - a + 1)}`;
}
const minutes = () => pick([() => '0', () => some(0, 59, 1), () => some(0, 59, 1), () => some(0, 59, 2), () => '*',
    () => `*/${pick([5, 7, 10, 15, 20, 30, 45])}`, () => range(0, 59), () => `${range(0, 59)}/${1 + random(20)}`,
    () => `${random(30)}/${1 + random(30)}`])();
function hours(near) { // the hours of the clock around the change come most often
    const at = (n) => (near + n + 24) % 24;
    return pick([() => `${at(random(4) - 2)}`, () => `${at(random(3) - 1)}`, () => `${at(0)}`, () => `${at(-1)}`,
        () => [...new Set([at(-1), at(0), at(random(6))])].sort((a, b) => a - b).join(','), () => '*',
        () => `*/${2 + random(11)}`, () => range(0, 23), () => `0-${1 + random(23)}/${1 + random(5)}`,
        () => `${random(4)}/${1 + random(6)}`, () => '0-23', () => `${random(24)}`])();
}
function days(date) {
    return pick([() => '* * *', () => '* * *', () => '* * *', () => `${date.getUTCDate()} * *`, () => '? * *',
        () => `* ${date.getUTCMonth() + 1} *`, () => `* * ${pick(['MON-FRI', 'sun', '0', '7', '6,0', '5-7', '1-5'])}`,
        () => `* ${pick(['JAN-DEC', 'jan,mar,oct,NOV', '*/2', '3-11'])} *`, () => `${range(1, 28)} * ${random(8)}`,
        () => `${date.getUTCDate()},${1 + random(3) + (date.getUTCDate() < 4 ? 5 : 0)} * SUN`,
        () => `? ${date.getUTCMonth() + 1} ?`, () => `? * ${pick(['SAT,SUN', '1/2', 'MON-SAT'])}`,
        () => `*/2 * ${pick(['SUN', 'MON-SAT', '*/3'])}`])();
}
function expression(zone, change) {
    const date = new Date(change + offsetAt(zone, change - MINUTE)); // what the clock would have shown
    const five = `${minutes()} ${hours(date.getUTCHours())} ${days(date)}`;
    if (random(8)) return five;
    return `${pick(['0', '30', '15,45', '59', '0'])} ${five}`;
}

// ---- all of it

// Why the two differ; the letters are explained in the file.
function why(text, rule, other, change, zone) {
    const texts = text.split(' ');
    const step = offsetAt(zone, change) - offsetAt(zone, change - MINUTE);
    if (/[*?]\/\d/.test(texts.at(-3)) || /[*?]\/\d/.test(texts.at(-1))) return 'S';
    const differ = [...rule.filter((t) => !other.includes(t)), ...other.filter((t) => !rule.includes(t))];
    const first = Math.min(...differ), span = Math.abs(step) + 60 * MINUTE;
    const whole = step % (60 * MINUTE) === 0 && (change + offsetAt(zone, change - MINUTE)) % (60 * MINUTE) === 0;
    const counts = /[*?/]/.test(texts.at(-4)) && texts.at(-4) !== '*';
    if (step > 0 && first >= change && first < change + span) return 'F';
    if (step < 0 && first >= change + step && first < change + span) return counts ? 'B' : 'M';
    return whole ? '?' : 'H';
}
function list(times, base, unit) {
    let last = base;
    return times.map((t) => { const d = (t - last) / unit; last = t; return d; }).join(' ') || '-';
}

const lines = [], seen = new Set(), tally = {};
function add(zone, change, from, text, rule, other) {
    const unit = text.split(' ').length === 6 ? 1000 : MINUTE, base = Math.floor(from / MINUTE) * MINUTE;
    const same = rule.length === other.length && rule.every((t, k) => t === other[k]);
    const code = same ? '' : why(text, rule, other, change, zone);
    tally[code || 'same'] = (tally[code || 'same'] || 0) + 1;
    lines.push(`${(from - change) / 1000}\t${text}\t${list(rule, base, unit)}` +
        (same ? '' : `\t${code} ${list(other, base, unit)}`));
    seen.add(text);
}

for (const zone of zones) {
    const mine = changes(zone), share = Math.max(4, Math.ceil(PER_ZONE / mine.length));
    const rounds = Math.ceil(PER_ZONE / share);
    for (let round = 0; round < rounds; round++) {
        const change = mine[Math.floor(round * mine.length / rounds)];
        lines.push(`zone ${zone} ${change / 1000}`);
        for (let n = 0; n < share;) {
            const text = expression(zone, change);
            const from = change - random(30 * 60) * MINUTE + pick([0, 0, 0, 1000]);
            if (seen.has(text) || !readable(text)) continue;
            add(zone, change, from, text, byRule(text, zone, from, from + WINDOW),
                byParser(text, zone, from, from + WINDOW));
            n++;
        }
    }
}

// Days that are years away, in UTC.
lines.push(`zone UTC ${FIRST / 1000}`);
for (let n = 0; n < 120;) {
    const month = () => pick(['2', '2', 'FEB', '*', '4,6', 'JUN-SEP', '*/5', `${1 + random(12)}`]);
    const text = `${random(60)} ${random(24)} ` + pick([() => `29 ${month()} *`, () => `31 ${month()} ?`,
        () => `30 ${month()} *`, () => `${some(1, 31, 2)} ${month()} *`, () => `* ${month()} ${random(8)}`,
        () => `28-31 ${month()} ${pick(['MON', '2', 'sat'])}`, () => `29 2 ${random(7)}`])();
    if (seen.has(text) || !readable(text)) continue;
    add('UTC', FIRST, FIRST, text, byDays(text, FIRST, LAST), byParser(text, 'UTC', FIRST, LAST));
    n++;
}

process.stderr.write(`${JSON.stringify(tally)}\n`);
console.log(`# What cron expressions do around changes of the clock. Made by cron.js, beside this file, with
#   npm's cron-parser ${version}, on node ${process.versions.node} with the time zones ${process.versions.tz};
#   and the rule of engine/core/cron.h, as a walk through every minute.
# ${seen.size} expressions, ${zones.length} zones; ${tally.same} times the two say the same.
#
# "zone NAME T": a change of its clock, at T seconds since 1970; then lines about it, with tabs between:
#   seconds from the change to the time after which is asked;
#   expression;
#   at most ${COUNT} firings of the next 5 days (UTC: of 10 years) by the rule: minutes (6 fields: seconds) from that time,
#   without its seconds, to the first, and from each to the next; "-": none;
#   if cron-parser differs: why, and what it says.
# Why:
#   F  The clock is put forward. cron-parser puts what is skipped into the hour after the gap, at the same minutes; we
#      fire once, at the first moment after the gap, as Vixie's cron and cronie do. ${tally.F}
#   B  The clock is put back, and the hours have a step. cron-parser fires once, we fire both times, as Vixie's cron and
#      cronie do for a star. ${tally.B}
#   M  The clock is put back over midnight or to it. cron-parser steps to a new day and finds its second midnight; we
#      take the first, as it does for every other hour. ${tally.M}
#   S  A day field with a star and a step. cron-parser holds it to be restricted, and takes either day; for us it is
#      a star as in Vixie's cron and cronie, and both must match. ${tally.S}
#   H  The clock is changed by half an hour, or not at a full one. cron-parser loses firings, or gives up with "loop
#      limit exceeded". ${tally.H}`);
console.log(lines.join('\n'));
