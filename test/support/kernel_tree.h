/* A folder that stands for "/": what the kernel shows of a process and its control groups. */
#ifndef SQ_TEST_SUPPORT_KERNEL_TREE_H
#define SQ_TEST_SUPPORT_KERNEL_TREE_H

/* The one of the test. */
void kernel_tree_new(void);
void kernel_tree_free(void);
const char *kernel_tree(void);
/* Writes a file of it, and the folders on its way. */
void kernel_tree_put(const char *path, const char *text);

#endif
