#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# kernel_test.py - an image that the kernel's ext4 filled, mounted by the kernel and by blkfs at once:
# every path, attribute, byte, hole, extended attribute and the numbers of statvfs must be the same, in
# each mode and over each transport. Needs root, loop devices and /dev/fuse; fails without them.
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile

BLKFS = os.path.join(os.environ["BLKFS_BUILD_DIR"], "tools/blkfs/blkfs")
MOUNTS = [f"ro,mode={m},transport={t}" for m in ("buffered", "direct") for t in ("uring", "classic")]

FILL = r"""
set -eu
mkdir -p tree/deep/er many; cp -a "$BLKFS_SOURCE_DIR"/fs "$BLKFS_SOURCE_DIR"/include tree
(cd many; seq -f 'name-%.0f' 6000 | xargs touch)
head -c 5000001 /dev/urandom > random
truncate -s 50M sparse
for at in 3 700 9000; do dd if=/dev/urandom of=sparse bs=4096 seek=$at count=2 conv=notrunc status=none; done
fallocate -o 1M -l 1M sparse
mknod char c 10 200; mknod block b 259 70000; mkfifo fifo
ln -s /somewhere/else short; ln -s $(printf "%01000d" 1) long; ln random tree/second
setfattr -n user.x -v 1 random; setfattr -n trusted.y -v 2 random
setfattr -n user.big -v $(printf "%0600d" 1) tree; setfacl -m u:55:r random; setfacl -d -m g:7:rwx tree/deep
chattr +A random; chmod 6711 random; touch -d 2300-01-01T01:02:03.456789 random; touch -d 1935-01-01 fifo
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"
"""


def run(*command, **kw):
    subprocess.run(command, check=True, timeout=120, **kw)


def holes(path):
    """Asked before anything is read: the kernel takes cached zeros of unwritten extents for data."""
    found, at = [], 0
    fd = os.open(path, os.O_RDONLY)
    try:
        while True:
            at = os.lseek(fd, at, os.SEEK_DATA)
            found.append(at)
            at = os.lseek(fd, at, os.SEEK_HOLE)
            found.append(at)
    except OSError as e:
        found.append(e.errno)
    finally:
        os.close(fd)
    return found


def digest(path):
    with open(path, "rb", buffering=0) as f:
        return hashlib.file_digest(f, "sha1").hexdigest()


def facts(root, path):
    full = os.path.join(root, path)
    s = os.lstat(full)
    out = {k: getattr(s, k) for k in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks",
                                      "st_mtime_ns", "st_ctime_ns", "st_rdev")}
    out["ino"] = s.st_ino if path else 0  # the root has another number by design
    out["xattrs"] = {n: os.getxattr(full, n, follow_symlinks=False)
                     for n in os.listxattr(full, follow_symlinks=False)}
    if stat.S_ISLNK(s.st_mode):
        out["target"] = os.readlink(full)
    if stat.S_ISREG(s.st_mode):
        out["holes"] = holes(full)
        out["content"] = digest(full)
    return out


def paths(root):
    found = [""]
    for folder, dirs, files in os.walk(root):
        if folder == root and ".blkfs" in dirs:
            dirs.remove(".blkfs")
        found += [os.path.relpath(os.path.join(folder, n), root) for n in dirs + files]
    return sorted(found)


def compare(ours, theirs):
    bad = []
    if paths(ours) != paths(theirs):
        bad.append("the lists of paths differ")
    for path in paths(theirs):
        a, b = facts(ours, path), facts(theirs, path)
        bad += [f"{path}: {k}: blkfs {a.get(k)!r}, kernel {b[k]!r}" for k in b if a.get(k) != b[k]]
    a, b = os.statvfs(ours), os.statvfs(theirs)
    for k in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_namemax"):
        if getattr(a, k) != getattr(b, k):
            bad.append(f"statvfs {k}: blkfs {getattr(a, k)}, kernel {getattr(b, k)}")
    return bad


def check(top, mkfs_options):
    image, kernel, ours = (os.path.join(top, n) for n in ("image", "kernel", "ours"))
    run("truncate", "-s", "200M", image)
    run("mkfs.ext4", "-q", "-F", *mkfs_options, image)
    run("mount", "-o", "loop", image, kernel)
    try:
        run("bash", "-c", FILL, cwd=kernel)
    finally:
        run("umount", kernel)
    bad = []
    for options in MOUNTS:
        run("mount", "-o", "ro,loop", image, kernel)
        try:
            run(BLKFS, "mount", "-o", options, image, ours)
            try:
                bad += [f"{mkfs_options} {options}: {b}" for b in compare(ours, kernel)]
            finally:
                run(BLKFS, "umount", ours)
        finally:
            run("umount", kernel)
    os.unlink(image)
    return bad


def main():
    top = tempfile.mkdtemp(prefix="blkfs-kernel-test.")
    for n in ("kernel", "ours"):
        os.mkdir(os.path.join(top, n))
    try:
        bad = check(top, ["-b", "4096"]) + check(top, ["-b", "1024"])
    finally:
        for n in ("ours", "kernel"):
            subprocess.run(["umount", "-l", os.path.join(top, n)], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(top, ignore_errors=True)
    print("\n".join(bad[:30]) or "the same")
    return 1 if bad else 0


sys.exit(main())
