/* Preloaded into vidgist: from FAIL_AT bytes on, reads of the file FAIL_FILE fail with FAIL_ERRNO, as those of a lost network
   share do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t read(int fd, void *bytes, size_t n_bytes) {
    static ssize_t (*next)(int, void *, size_t);
    if (!next) next = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    const char *file = getenv("FAIL_FILE"), *code = getenv("FAIL_ERRNO"), *from = getenv("FAIL_AT");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (file && code && from && length > 0) {
        path[length] = 0;
        if (strcmp(path, file) == 0 && lseek(fd, 0, SEEK_CUR) >= atol(from)) {
            errno = atoi(code);
            return -1;
        }
    }
    return next(fd, bytes, n_bytes);
}
