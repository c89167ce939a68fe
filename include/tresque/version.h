/* The version of these headers.
 *
 * The only place where it is written: the library's file name, its soname and tresque.pc are made
 * from it. Before 1.0 the minor number moves when a program must change, the patch number when
 * none need.
 */
#ifndef TRESQUE_VERSION_H
#define TRESQUE_VERSION_H

#include <tresque/value.h>

#define TRQ_VERSION_MAJOR 0
#define TRQ_VERSION_MINOR 1
#define TRQ_VERSION_PATCH 0

/* One number that grows with every release, for #if. */
#define TRQ_VERSION_NUMBER                                                                         \
    (TRQ_VERSION_MAJOR * 1000000 + TRQ_VERSION_MINOR * 1000 + TRQ_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": of the library that the program runs with. Static. */
TRQ_API const char *trq_version(void);

#ifdef __cplusplus
}
#endif

#endif
