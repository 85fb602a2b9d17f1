/* SPDX-License-Identifier: MIT */
/*
 * void fiber_switch_stack(void **save_sp, void *load_sp)
 *
 * Saves what the AAPCS64 asks a callee to keep (x19-x29, the link register, d8-d15), swaps the
 * stack pointer, restores and branches: not a ret, which would be predicted to the old caller.
 * A new stack's frame (fiber.c) has the entry in x19 and its argument in x20.
 */
	.text
	.p2align 4
	.globl	fiber_switch_stack
	.type	fiber_switch_stack, %function
fiber_switch_stack:
	.cfi_startproc
	sub	sp, sp, #160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	br	x30
	.cfi_endproc
	.size	fiber_switch_stack, . - fiber_switch_stack

	.p2align 4
	.globl	fiber_start
	.type	fiber_start, %function
fiber_start:
	.cfi_startproc
	.cfi_undefined x30
	mov	x29, xzr
	mov	x0, x20
	blr	x19
	brk	#1
	.cfi_endproc
	.size	fiber_start, . - fiber_start

	.section .note.GNU-stack, "", %progbits
