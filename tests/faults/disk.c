/*
 * A disk that fails on command, put under a program with LD_PRELOAD.
 *
 * DISK_FOLDER   the folder on the disk; other files and sockets are not affected
 * DISK_PLATTER  the folder that gets a copy of a file at each sync of it: the state after a power cut
 * DISK_ORDERS   a folder in which the presence of a file is an order:
 *     full      writes fail (ENOSPC)
 *     broken    syncs fail (EIO)
 *     lying     syncs are acknowledged and not done
 *
 * A copy is whole or does not exist, and is made before the sync returns. It may contain more than the
 * synced bytes, as on a real disk. The removal of a file lasts once its folder was synced. The program
 * never renames a file in the folder, and never syncs a mapped file (SQLite's -shm).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t syncing = PTHREAD_MUTEX_INITIALIZER;

static int ordered(const char *order) {
    const char *folder = getenv("DISK_ORDERS");
    char path[PATH_MAX];
    int before = errno;
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, order);
    int found = access(path, F_OK) == 0;
    errno = before;
    return found;
}

/* Whether the file is on the disk; `name` gets its path below the folder, empty for the folder. */
static int on_disk(int file, char *name) {
    const char *folder = getenv("DISK_FOLDER");
    char link[64], path[PATH_MAX];
    if (!folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(folder);
    if (strncmp(path, folder, prefix) != 0) return 0;
    if (path[prefix] != '/' && path[prefix] != 0) return 0;
    strcpy(name, path[prefix] ? path + prefix + 1 : "");
    return 1;
}

static int copy(int file, const char *name, const char *platter) {
    static char bytes[1 << 16];
    char from[64], to[PATH_MAX], done[PATH_MAX];
    snprintf(from, sizeof from, "/proc/self/fd/%d", file);
    snprintf(to, sizeof to, "%s/%s.part", platter, name);
    snprintf(done, sizeof done, "%s/%s", platter, name);
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0) return -1;
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (target < 0) { close(source); return -1; }
    ssize_t count;
    while ((count = read(source, bytes, sizeof bytes)) > 0)
        if (write(target, bytes, count) != count) { count = -1; break; }
    close(source);
    close(target);
    return count < 0 ? -1 : rename(to, done);
}

/* Removes the platter's copies of files that the folder does not contain any more. */
static void forget_removed(const char *platter) {
    DIR *listing = opendir(platter);
    if (!listing) return;
    for (struct dirent *entry; (entry = readdir(listing));) {
        char live[PATH_MAX], durable[PATH_MAX];
        if (entry->d_name[0] == '.') continue;
        snprintf(live, sizeof live, "%s/%s", getenv("DISK_FOLDER"), entry->d_name);
        snprintf(durable, sizeof durable, "%s/%s", platter, entry->d_name);
        if (access(live, F_OK) != 0) unlink(durable);
    }
    closedir(listing);
}

static int sync_file(int file, const char *real_name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, real_name);
    const char *platter = getenv("DISK_PLATTER");
    char name[PATH_MAX];
    if (!on_disk(file, name)) return real(file);
    if (ordered("broken")) { errno = EIO; return -1; }
    if (!platter) return real(file);
    if (ordered("lying")) return 0;
    int result = 0;
    pthread_mutex_lock(&syncing);
    if (*name) result = copy(file, name, platter); else forget_removed(platter);
    pthread_mutex_unlock(&syncing);
    if (result != 0) errno = EIO;
    return result;
}

int fsync(int file) { return sync_file(file, "fsync"); }
int fdatasync(int file) { return sync_file(file, "fdatasync"); }

static int is_full(int file) {
    char name[PATH_MAX];
    if (!ordered("full") || !on_disk(file, name)) return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(type, name) \
    static __typeof__(type) real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(ssize_t (*)(int, const void *, size_t), "write");
    return is_full(file) ? -1 : real(file, bytes, count);
}

#define PWRITE(function, offset_type) \
    ssize_t function(int file, const void *bytes, size_t count, offset_type at) { \
        REAL(ssize_t (*)(int, const void *, size_t, offset_type), #function); \
        return is_full(file) ? -1 : real(file, bytes, count, at); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(function, offset_type) \
    ssize_t function(int file, const struct iovec *parts, int count, offset_type at) { \
        REAL(ssize_t (*)(int, const struct iovec *, int, offset_type), #function); \
        return is_full(file) ? -1 : real(file, parts, count, at); \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define FALLOCATE(function, offset_type) \
    int function(int file, offset_type from, offset_type length) { \
        REAL(int (*)(int, offset_type, offset_type), #function); \
        return is_full(file) ? ENOSPC : real(file, from, length); \
    }
FALLOCATE(posix_fallocate, off_t)
FALLOCATE(posix_fallocate64, off64_t)
