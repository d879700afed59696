#!/usr/bin/python3
"""random-reads.py DEVICE IMAGE READERS READS SEED: reads pieces of DEVICE, of random size and place, by READERS threads at once, every
other one past the page cache, and compares them with IMAGE. What fails with EIO is read again. Prints how many were, and how often."""

import errno
import mmap
import os
import random
import sys
import threading

device, image, readers, reads, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
with open(image, "rb") as file:
    content = file.read()
size = len(content) // 512 * 512
failures = []
counts = {"read": 0, "failed": 0}
lock = threading.Lock()


def read(number):
    rng = random.Random(seed * 1000 + number)
    direct = number % 2 == 0
    fd = os.open(device, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    for _ in range(reads):
        length = rng.choice([1, 511, 512, 4096, 10000, 65536, 300000, 1048576])
        offset = rng.randrange(size)
        if direct:
            length = (length + 511) // 512 * 512
            offset = offset // 512 * 512
        buffer = mmap.mmap(-1, length + 4096)
        while True:
            try:
                count = os.preadv(fd, [memoryview(buffer)[:length]], offset)
                break
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                with lock:
                    counts["failed"] += 1
        wanted = content[offset : min(offset + length, size)]
        if not direct:
            # A part is enough where a read after it has failed.
            wanted = wanted[:count]
        if count == 0 or buffer[:count] != wanted:
            failures.append((number, offset, length, count))
        with lock:
            counts["read"] += 1


def guarded(number):
    try:
        read(number)
    except BaseException as error:
        failures.append((number, repr(error)))


threads = [threading.Thread(target=guarded, args=(number,)) for number in range(readers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
past = os.open(device, os.O_RDONLY)
if os.pread(past, 4096, size) != b"":
    failures.append("bytes beyond the end")
print(counts["read"], counts["failed"], failures)
