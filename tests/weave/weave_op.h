/* The budget of old reads, which the operations of weave_atomic.h draw on. */
#ifndef WEAVE_OP_H
#define WEAVE_OP_H

void weave_op_rewind(unsigned stale); /* an execution begins */

#endif
