/* SPDX-License-Identifier: MIT */
/*
 * ask SOCKET LINE - one line to a Unix socket, one line back. For what no command of blkfs sends.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char answer[65536];
	ssize_t n;
	int fd;

	if (argc != 3 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: ask SOCKET LINE\n");
		return 2;
	}
	memcpy(addr.sun_path, argv[1], strlen(argv[1]) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) ||
	    dprintf(fd, "%s\n", argv[2]) < 0) {
		perror(argv[1]);
		return 1;
	}
	do {
		n = read(fd, answer, sizeof(answer));
		if (n <= 0)
			return 1;
		fwrite(answer, 1, (size_t)n, stdout);
	} while (answer[n - 1] != '\n');
	return 0;
}
