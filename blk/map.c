/* SPDX-License-Identifier: MIT */
/*
 * map.c - the memory of a request, as a driver hands it on.
 *
 * Pure. Pieces that follow one another in memory become one vector, across bios too: a request that
 * was merged from a plug of a contiguous buffer is one segment again.
 */
#include "base/compiler.h"
#include "blkfs/driver.h"

unsigned int blk_rq_map_iov(const struct request *rq, struct iovec *iov, unsigned int iov_max)
{
	unsigned int nr = 0;
	const struct bio *bio;

	if (!op_has_data(rq->cmd_flags))
		return 0;
	rq_for_each_bio(bio, rq) {
		struct bvec_iter it;
		struct bio_vec bv;

		bio_for_each_vec(bv, bio, it) {
			struct iovec *last = nr ? &iov[nr - 1] : NULL;

			if (last && (char *)last->iov_base + last->iov_len == bv.bv_addr) {
				last->iov_len += bv.bv_len;
				continue;
			}
			blkfs_assert(nr < iov_max);
			iov[nr++] = (struct iovec){ bv.bv_addr, bv.bv_len };
		}
	}
	return nr;
}
