/*
 * A plugin for qemu-user (docs/devel/tcg-plugins.rst of QEMU): how many instructions a program has executed, in all its threads, to the
 * file that $COUNTED names. The time of a start is noise on a busy machine; this is the same within some percent. Debian's qemu-user
 * brings no qemu-plugin.h: what is used of version 1 of that interface is declared here.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORTED __attribute__((visibility("default")))
/* enum qemu_plugin_cb_flags */
#define QEMU_PLUGIN_CB_NO_REGS 0

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORTED int qemu_plugin_version = 1;

/* A counter for each thread, each in a cache line of its own. */
static struct {
    uint64_t instructions;
    char rest[56];
} threads[256];

static void executed(unsigned thread, void *instructions)
{
    threads[thread % 256].instructions += (uintptr_t)instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)qemu_plugin_tb_n_insns(block));
}

static void ended(qemu_plugin_id_t id, void *unused)
{
    const char *name = getenv("COUNTED");
    FILE *file = name == NULL ? NULL : fopen(name, "w");
    uint64_t sum = 0;
    (void)id;
    (void)unused;
    if (file == NULL)
        return;
    for (size_t thread = 0; thread < 256; thread++)
        sum += threads[thread].instructions;
    fprintf(file, "%llu\n", (unsigned long long)sum);
    fclose(file);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
