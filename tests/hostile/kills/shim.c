/* Count what a process and its children do to files below one folder, and at the n-th such operation send the process
   a signal or let the operation fail. Loaded by LD_PRELOAD; told what to do by a page of shared memory. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct plan { /* as tests/hostile/kills/shim.py packs it */
    long enabled, count, at, sent, failing, onwards, process, happened;
    char root[1024], what[1024];
};

static struct plan *plan;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("KILLS_PLAN");
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int file = path ? real(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    plan = page == MAP_FAILED ? NULL : page;
}

static int inside(const char *path) {
    size_t length = strlen(plan->root);
    return strncmp(path, plan->root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int path_of(int file, const char *path, char *full) {
    char link[64];
    ssize_t length = 0;
    if (path && path[0] == '/') {
        snprintf(full, PATH_MAX, "%s", path);
        return 1;
    }
    if (file == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, full, PATH_MAX - 1);
    if (length < 0)
        return 0;
    full[length] = 0;
    if (path && path[0])
        snprintf(full + length, PATH_MAX - length, "/%s", path);
    return 1;
}

/* Return the errno with which the operation fails, 0 if it is to be done. */
static int due(const char *name, int file, const char *path, int may_fail) {
    char full[PATH_MAX];
    if (!plan || !plan->enabled || !path_of(file, path, full) || !inside(full))
        return 0;
    long number = __sync_add_and_fetch(&plan->count, 1);
    if (number < plan->at || (number > plan->at && !plan->onwards))
        return 0;
    if (number == plan->at)
        snprintf(plan->what, sizeof plan->what, "%s %s", name, full);
    if (number == plan->at && plan->sent) {
        plan->happened = 1;
        kill((pid_t)plan->process, (int)plan->sent);
    }
    if (plan->failing && may_fail) {
        plan->happened = 1;
        return (int)plan->failing;
    }
    return 0;
}

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (!real)                                                                                                         \
        real = dlsym(RTLD_NEXT, #name);
#define FAIL(failed, file, path, may_fail, name)                                                                       \
    do {                                                                                                               \
        int code = due(#name, file, path, may_fail);                                                                   \
        if (code) {                                                                                                    \
            errno = code;                                                                                              \
            return failed;                                                                                             \
        }                                                                                                              \
    } while (0)
#define WRITES(flags) ((flags) & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR))
#define MODE(flags, last)                                                                                              \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, last);                                                                                          \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        REAL(int, name, const char *, int, ...)                                                                        \
        MODE(flags, flags)                                                                                             \
        if (WRITES(flags))                                                                                             \
            FAIL(-1, AT_FDCWD, path, (flags & (O_CREAT | O_TRUNC)) != 0, name);                                        \
        return real(path, flags, mode);                                                                                \
    }
#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        REAL(int, name, int, const char *, int, ...)                                                                   \
        MODE(flags, flags)                                                                                             \
        if (WRITES(flags))                                                                                             \
            FAIL(-1, folder, path, (flags & (O_CREAT | O_TRUNC)) != 0, name);                                          \
        return real(folder, path, flags, mode);                                                                        \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                                                                    \
    FILE *name(const char *path, const char *how) {                                                                    \
        REAL(FILE *, name, const char *, const char *)                                                                 \
        if (strpbrk(how, "wa+"))                                                                                       \
            FAIL(NULL, AT_FDCWD, path, 1, name);                                                                       \
        return real(path, how);                                                                                        \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t)
    FAIL(-1, file, NULL, 1, write);
    return real(file, data, size);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int)
    FAIL(-1, file, NULL, 1, writev);
    return real(file, parts, count);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    FAIL(-1, file, NULL, 1, pwrite64);
    return real(file, data, size, at);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)
    FAIL(-1, out, NULL, 1, sendfile);
    return real(out, in, at, size);
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t)
    FAIL(-1, out, NULL, 1, sendfile);
    return real(out, in, at, size);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned)
    FAIL(-1, out, NULL, 1, copy_file_range);
    return real(in, from, out, to, size, flags);
}
int fsync(int file) {
    REAL(int, fsync, int)
    FAIL(-1, file, NULL, 1, fsync);
    return real(file);
}
int fdatasync(int file) {
    REAL(int, fdatasync, int)
    FAIL(-1, file, NULL, 1, fdatasync);
    return real(file);
}
int ftruncate64(int file, off64_t size) {
    REAL(int, ftruncate64, int, off64_t)
    FAIL(-1, file, NULL, 1, ftruncate);
    return real(file, size);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t)
    FAIL(-1, AT_FDCWD, path, 1, mkdir);
    return real(path, mode);
}
int rename(const char *old, const char *path) {
    REAL(int, rename, const char *, const char *)
    FAIL(-1, AT_FDCWD, path, 1, rename);
    return real(old, path);
}
int renameat(int from, const char *old, int folder, const char *path) {
    REAL(int, renameat, int, const char *, int, const char *)
    FAIL(-1, folder, path, 1, renameat);
    return real(from, old, folder, path);
}
int renameat2(int from, const char *old, int folder, const char *path, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned)
    FAIL(-1, folder, path, 1, renameat2);
    return real(from, old, folder, path, flags);
}
int rmdir(const char *path) {
    REAL(int, rmdir, const char *)
    FAIL(-1, AT_FDCWD, path, 0, rmdir);
    return real(path);
}
int unlink(const char *path) {
    REAL(int, unlink, const char *)
    FAIL(-1, AT_FDCWD, path, 0, unlink);
    return real(path);
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int)
    FAIL(-1, folder, path, 0, unlinkat);
    return real(folder, path, flags);
}
int truncate64(const char *path, off64_t size) {
    REAL(int, truncate64, const char *, off64_t)
    FAIL(-1, AT_FDCWD, path, 1, truncate);
    return real(path, size);
}
