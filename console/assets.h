/* The files of the console, as they are in the program: console/index.html, and those of
 * console/assets/ in a folder that is named after their content. */
#ifndef SQ_CONSOLE_ASSETS_H
#define SQ_CONSOLE_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct sq_console_asset {
	const char *path; /* below the console's: "" is the page, "1a2b3c4d5e6f/app.js" a script */
	const char *type; /* content type */
	const unsigned char *data;
	size_t len;
	bool immutable; /* another content has another path */
};

extern const struct sq_console_asset sq_console_assets[];
extern const size_t sq_console_n_assets;

#endif
