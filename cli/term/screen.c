/* Drawing on a terminal; see cli/term/screen.h. */
#include "cli/term/screen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/term/interrupt.h"

#define SCREEN_ENTER "\033[?1049h\033[?25l" /* the second screen, no cursor */
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_REST_OF_LINE "\033[K"
#define SCREEN_REST "\033[J"

enum { SCREEN_COLUMNS = 80, SCREEN_ROWS = 24, SCREEN_MOST = 1000 };

static struct termios before;
static bool has_keys;

bool
sq_screen_is_one(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static bool
screen_write(const void *p, size_t len)
{
	const char *at = p;

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n <= 0 && !(n < 0 && sq_interrupted()))
			return false;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

void
sq_screen_enter(void)
{
	struct termios keys;

	sq_interrupt_watch_screen(SCREEN_LEAVE);
	has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (has_keys) {
		keys = before;
		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		keys.c_cc[VMIN] = 0;
		keys.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	}
	(void)screen_write(SCREEN_ENTER, sizeof SCREEN_ENTER - 1);
}

void
sq_screen_leave(void)
{
	(void)screen_write(SCREEN_LEAVE, sizeof SCREEN_LEAVE - 1);
	if (has_keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	has_keys = false;
}

static size_t
screen_bound(size_t has, size_t without)
{
	if (has == 0)
		return without;
	return has < SCREEN_MOST ? has : SCREEN_MOST;
}

struct sq_screen_size
sq_screen_size(void)
{
	struct winsize w = {0};

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	return (struct sq_screen_size){
	    screen_bound(w.ws_col, SCREEN_COLUMNS), screen_bound(w.ws_row, SCREEN_ROWS)};
}

bool
sq_screen_draw(const struct sq_buf *text)
{
	struct sq_buf out = {0};
	const char *p = (const char *)sq_buf_data(text);
	bool good;

	sq_buf_printf(&out, SCREEN_HOME);
	for (size_t i = 0; i < sq_buf_len(text); i++) {
		/* The last line has no end, which would move all of them up. */
		if (p[i] == '\n')
			sq_buf_printf(
			    &out, SCREEN_REST_OF_LINE "%s", i + 1 < sq_buf_len(text) ? "\r\n" : "");
		else
			sq_buf_u8(&out, (uint8_t)p[i]);
	}
	sq_buf_printf(&out, SCREEN_REST);
	good = screen_write(sq_buf_data(&out), sq_buf_len(&out));
	sq_buf_fini(&out);
	return good;
}

int
sq_screen_wait(unsigned long timeout_ms)
{
	struct pollfd p = {STDIN_FILENO, POLLIN, 0};
	unsigned char key = 0;

	if (sq_interrupt_poll(&p, has_keys ? 1 : 0, timeout_ms) <= 0)
		return 0;
	if (read(STDIN_FILENO, &key, 1) == 1)
		return key;
	has_keys = false; /* it has ended */
	return 0;
}
