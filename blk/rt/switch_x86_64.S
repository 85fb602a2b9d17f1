/* SPDX-License-Identifier: MIT */
/*
 * void fiber_switch_stack(void **save_sp, void *load_sp)
 *
 * Saves what the System V ABI asks a callee to keep, swaps the stack pointer, restores. The return
 * address is popped and jumped to: a ret would be predicted to go to the caller on the old stack.
 * A new stack's frame (fiber.c) has the entry in r13 and its argument in r12.
 */
	.text
	.p2align 4
	.globl	fiber_switch_stack
	.type	fiber_switch_stack, @function
fiber_switch_stack:
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	popq	%rcx
	jmpq	*%rcx
	.cfi_endproc
	.size	fiber_switch_stack, . - fiber_switch_stack

	.p2align 4
	.globl	fiber_start
	.type	fiber_start, @function
fiber_start:
	.cfi_startproc
	.cfi_undefined rip
	xorl	%ebp, %ebp
	movq	%r12, %rdi
	callq	*%r13
	ud2
	.cfi_endproc
	.size	fiber_start, . - fiber_start

	.section .note.GNU-stack, "", @progbits
