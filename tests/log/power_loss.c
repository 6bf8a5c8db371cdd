/* Preloaded into a process: keeps, of each file below HMS_SHIM_FROM, a copy in HMS_SHIM_TO as of its last fsync. These
   copies are what a power cut leaves in the worst case: everything not synced is dropped. While the file HMS_SHIM_FAIL
   exists, every fsync of a log's WAL fails with EIO after the data has reached the page cache. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder was synced: what is gone from it stays gone. */
static void forget_deleted(const char *from, const char *folder) {
    char path[4400];
    DIR *kept = opendir(folder);
    for (struct dirent *entry; kept && (entry = readdir(kept));) {
        snprintf(path, sizeof path, "%s/%s", from, entry->d_name);
        if (access(path, F_OK)) unlinkat(dirfd(kept), entry->d_name, 0);
    }
    if (kept) closedir(kept);
}

static void keep(int fd) {
    char link[64], path[4096], to[4400], part[4410], block[65536];
    const char *from = getenv("HMS_SHIM_FROM"), *folder = getenv("HMS_SHIM_TO");
    struct stat info;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (!from || !folder || size < 0 || fstat(fd, &info)) return;
    path[size] = 0;
    if (strncmp(path, from, strlen(from))) return;
    if (S_ISDIR(info.st_mode)) forget_deleted(from, folder);
    if (!S_ISREG(info.st_mode)) return;
    snprintf(to, sizeof to, "%s/%s", folder, strrchr(path, '/') + 1);
    snprintf(part, sizeof part, "%s.part", to);
    int out = open(part, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    off_t at = 0;
    /* pread on the caller's own descriptor: opening and closing another would drop the process's POSIX locks. */
    while ((size = pread(fd, block, sizeof block, at)) > 0) {
        if (write(out, block, size) != size) abort();
        at += size;
    }
    close(out);
    rename(part, to);
}

static int synced(int fd, const char *name) {
    const char *fail = getenv("HMS_SHIM_FAIL");
    if (fail && !access(fail, F_OK)) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    if (!result) keep(fd);
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
