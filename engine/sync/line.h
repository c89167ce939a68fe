/* Cache lines. */
#ifndef TQ_SYNC_LINE_H
#define TQ_SYNC_LINE_H

enum { TQ_LINE = 64 };

/* Begins a new cache line: what stands before is written by others than what follows. */
#define TQ_ON_LINE _Alignas(TQ_LINE)

#define TQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define TQ_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define TQ_PREFETCH(p) __builtin_prefetch((p), 0)
#define TQ_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)

#endif
