/* SPDX-License-Identifier: MIT */
/*
 * The elevator framework: the table of types, the default, the switch; and the contract suite over
 * the two smallest elevators.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "blk/blk.h"
#include "blk/elevator.h"
#include "tests/blk/fifo_elevators.h"
#include "tests/contract/blk_load.h"
#include "tests/contract/elevator_contract.h"
#include "tests/lib/sim.h"

/* ---- the table ------------------------------------------------------------------------------------ */

Test(elevator, an_incomplete_or_double_type_is_refused)
{
	struct elevator_type type = fifo_elevator;

	type.ops.dispatch_request = NULL;
	cr_assert_eq(elv_register(&type), -EINVAL);
	type = fifo_elevator;
	type.elevator_name = "none";
	cr_assert_eq(elv_register(&type), -EINVAL);
	type.elevator_name = "";
	cr_assert_eq(elv_register(&type), -EINVAL);
	cr_assert_eq(elv_register(&fifo_elevator), 0);
	type.elevator_name = "fifo";
	cr_assert_eq(elv_register(&type), -EEXIST);
	elv_unregister(&fifo_elevator);
	cr_assert_eq(elv_register(&type), 0);
	elv_unregister(&type);
}

static void register_fifos(void)
{
	cr_assert_eq(elv_register(&fifo_elevator), 0);
	cr_assert_eq(elv_register(&fifo_home_elevator), 0);
}

static void unregister_fifos(void)
{
	elv_unregister(&fifo_elevator);
	elv_unregister(&fifo_home_elevator);
}

/* ---- contract --------------------------------------------------------------------------------------- */

Test(elevator, fifo_stands_any_load, .init = register_fifos, .fini = unregister_fifos)
{
	elevator_contract_load("fifo", 1, 400);
}

Test(elevator, fifo_stands_resource_at_any_position, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_resource("fifo", 1, 400);
}

Test(elevator, fifo_stands_freezes_at_any_moment, .init = register_fifos, .fini = unregister_fifos)
{
	elevator_contract_freeze("fifo", 1, 200);
}

Test(elevator, fifo_stands_switches_at_any_moment, .init = register_fifos, .fini = unregister_fifos)
{
	elevator_contract_switch("fifo", 1, 200);
}

Test(elevator, fifo_home_stands_any_load, .init = register_fifos, .fini = unregister_fifos)
{
	elevator_contract_load("fifo-home", 1, 400);
}

Test(elevator, fifo_home_stands_resource_at_any_position, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_resource("fifo-home", 1, 400);
}

Test(elevator, fifo_home_stands_freezes_at_any_moment, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_freeze("fifo-home", 1, 200);
}

Test(elevator, fifo_home_stands_switches_at_any_moment, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_switch("fifo-home", 1, 200);
}

Test(elevator, fifo_stands_it_all_on_two_real_reactors, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_ring("fifo", 10);
}

Test(elevator, fifo_home_stands_it_all_on_two_real_reactors, .init = register_fifos,
     .fini = unregister_fifos)
{
	elevator_contract_ring("fifo-home", 10);
}
