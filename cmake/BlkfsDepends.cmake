# SPDX-License-Identifier: MIT
# The libraries blkfs stands on; tools/packages names the Debian packages they come from.
# A room links the one it needs: PkgConfig::URING (blk/rt), PkgConfig::FUSE3 (fs/fuse),
# PkgConfig::EXT2FS (fs/ext4), PkgConfig::JSONC (tools/blkfs), Threads::Threads.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET "liburing>=2.3")
pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET "fuse3>=3.14")
pkg_check_modules(EXT2FS REQUIRED IMPORTED_TARGET "ext2fs>=1.46")
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET "json-c>=0.16")
