/* A directory for the files of one test. */
#ifndef SQ_TEST_SUPPORT_TEMP_DIR_H
#define SQ_TEST_SUPPORT_TEMP_DIR_H

/* Makes an empty one; free it by temp_dir_free(). */
char *temp_dir_new(void);
/* Removes it with all that is in it. */
void temp_dir_free(char **dir);

#endif
