/* SPDX-License-Identifier: MIT */
/*
 * with_fifo.c - linked with the program, gives it the two elevators of the tests: `scheduler=fifo`
 * and `scheduler=fifo-home`.
 */
#include "base/log.h"

#include "tests/blk/fifo_elevators.h"

__attribute__((constructor)) static void register_elevators(void)
{
	if (elv_register(&fifo_elevator) || elv_register(&fifo_home_elevator))
		log_err("the elevators of the tests cannot be registered");
}
