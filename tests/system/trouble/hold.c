/* SPDX-License-Identifier: MIT */
/*
 * hold FILE OFFSET BYTES - writes, says so by a line, and keeps the file open until it is ended.
 *
 * FUSE writes back at every close of a descriptor: only who keeps it open has dirty pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 << 10 };

static int write_all(int fd, long long offset, long long bytes)
{
	static char chunk[CHUNK_BYTES];

	memset(chunk, 0x5a, sizeof(chunk));
	while (bytes > 0) {
		size_t len = bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES;
		ssize_t n = pwrite(fd, chunk, len, offset);

		if (n <= 0)
			return -1;
		offset += n;
		bytes -= n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: hold FILE OFFSET BYTES\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || write_all(fd, strtoll(argv[2], NULL, 10), strtoll(argv[3], NULL, 10))) {
		fprintf(stderr, "hold: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	puts("written");
	fflush(stdout);
	for (;;)
		pause();
}
