#!/usr/bin/python3
"""bench-random-reads.py DEVICE READERS READS: reads 4 KiB at random places of DEVICE, past the page cache, by READERS threads at once,
READS of them in all. Prints how many ms it took. The places are the same each time."""

import mmap
import os
import random
import sys
import threading
import time

device, readers, reads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
pages = os.lseek(fd, 0, os.SEEK_END) // 4096
places = random.Random(14)
offsets = [places.randrange(pages) * 4096 for _ in range(reads)]
failures = []


def read(number):
    buffer = mmap.mmap(-1, 4096)
    try:
        for offset in offsets[number::readers]:
            os.preadv(fd, [buffer], offset)
    except OSError as error:
        failures.append(error)


begun = time.monotonic()
threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failures:
    sys.exit(str(failures[0]))
print((time.monotonic() - begun) * 1000)
