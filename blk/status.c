/* SPDX-License-Identifier: MIT */
/*
 * status.c - the outcome of an I/O, and operations, by name and by errno.
 */
#include <errno.h>

#include "base/compiler.h"
#include "blkfs/bio.h"

static const struct {
	int err;
	const char *name;
} statuses[BLK_STS_NR] = {
	[BLK_STS_OK] = { 0, "ok" },
	[BLK_STS_NOTSUPP] = { -EOPNOTSUPP, "operation not supported" },
	[BLK_STS_TIMEOUT] = { -ETIMEDOUT, "timeout" },
	[BLK_STS_NOSPC] = { -ENOSPC, "critical space allocation" },
	[BLK_STS_TRANSPORT] = { -ENOLINK, "recoverable transport" },
	[BLK_STS_TARGET] = { -EREMOTEIO, "critical target" },
	[BLK_STS_RESV_CONFLICT] = { -EBADE, "reservation conflict" },
	[BLK_STS_MEDIUM] = { -ENODATA, "critical medium" },
	[BLK_STS_PROTECTION] = { -EILSEQ, "protection" },
	[BLK_STS_RESOURCE] = { -ENOMEM, "kernel resource" },
	[BLK_STS_IOERR] = { -EIO, "I/O" },
	[BLK_STS_DM_REQUEUE] = { -EREMCHG, "dm internal retry" },
	[BLK_STS_AGAIN] = { -EAGAIN, "nonblocking retry" },
	[BLK_STS_DEV_RESOURCE] = { -EBUSY, "device resource" },
	[BLK_STS_ZONE_RESOURCE] = { -EBUSY, "zone resource" },
	[BLK_STS_ZONE_OPEN_RESOURCE] = { -ETOOMANYREFS, "open zones exceeded" },
	[BLK_STS_ZONE_ACTIVE_RESOURCE] = { -EOVERFLOW, "active zones exceeded" },
	[BLK_STS_OFFLINE] = { -ENODEV, "device offline" },
	[BLK_STS_DURATION_LIMIT] = { -ETIME, "duration limit exceeded" },
	[BLK_STS_INVAL] = { -EINVAL, "invalid" },
};

/* What an errno means where several statuses share it: the first in the table does. */
int blk_status_to_errno(blk_status_t status)
{
	return status < BLK_STS_NR ? statuses[status].err : -EIO;
}

blk_status_t errno_to_blk_status(int err)
{
	for (unsigned int i = 0; i < BLK_STS_NR; i++) {
		if (statuses[i].err == err)
			return (blk_status_t)i;
	}
	return BLK_STS_IOERR;
}

const char *blk_status_name(blk_status_t status)
{
	return status < BLK_STS_NR ? statuses[status].name : "unknown";
}

static const char *const op_names[REQ_OP_LAST] = {
	[REQ_OP_READ] = "READ",
	[REQ_OP_WRITE] = "WRITE",
	[REQ_OP_FLUSH] = "FLUSH",
	[REQ_OP_DISCARD] = "DISCARD",
	[REQ_OP_SECURE_ERASE] = "SECURE_ERASE",
	[REQ_OP_ZONE_APPEND] = "ZONE_APPEND",
	[REQ_OP_WRITE_ZEROES] = "WRITE_ZEROES",
	[REQ_OP_ZONE_OPEN] = "ZONE_OPEN",
	[REQ_OP_ZONE_CLOSE] = "ZONE_CLOSE",
	[REQ_OP_ZONE_FINISH] = "ZONE_FINISH",
	[REQ_OP_ZONE_RESET] = "ZONE_RESET",
	[REQ_OP_ZONE_RESET_ALL] = "ZONE_RESET_ALL",
	[REQ_OP_DRV_IN] = "DRV_IN",
	[REQ_OP_DRV_OUT] = "DRV_OUT",
};

const char *blk_op_name(blk_opf_t opf)
{
	enum req_op op = op_of(opf);

	return op < REQ_OP_LAST && op_names[op] ? op_names[op] : "UNKNOWN";
}
