/* The ledger of the torture app: writing it, and taking it up again. */
#include "app.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
ledger_write(struct app *a, const char *p, size_t n)
{
	if (write(a->ledger, p, n) != (ssize_t)n) {
		perror("ledger");
		_exit(3);
	}
}

void
app_ledger(struct app *a, const char *format, ...)
{
	char line[256];
	int head, n;
	va_list args;

	head = snprintf(
	    line, sizeof line, "%c %llu", format[0], (unsigned long long)(app_now_us() / 1000));
	va_start(args, format);
	n = vsnprintf(line + head, sizeof line - (size_t)head - 1, format + 1, args);
	va_end(args);
	n = head + (n < (int)sizeof line - head - 1 ? n : (int)sizeof line - head - 2);
	line[n++] = '\n';
	ledger_write(a, line, (size_t)n);
}

/* One line of an older life. */
static void
ledger_take(struct app *a, const char *line)
{
	unsigned id, x, y, z, w;
	struct app_flight *f;

	switch (line[0]) {
	case 'C':
		if (sscanf(line, "C %*u %u", &x) == 1 && x == 0)
			app_session_new(a);
		break;
	case 'T':
		if (sscanf(line, "T %*u %u %u %u", &id, &x, &y) == 3)
			app_turns_asked(a, &(struct app_turn){(uint16_t)id, x != 0, y});
		break;
	case 'K':
		if (sscanf(line, "K %*u %u", &id) == 1)
			app_turns_answered(a, (uint16_t)id);
		break;
	case 'S':
		a->subscribed = true;
		break;
	case 'P':
		if (sscanf(line, "P %*u %u %u %u", &id, &x, &y) != 3 || x >= APP_STREAMS)
			break;
		a->next[x] = y + 1;
		if (x > 0)
			app_flight_add(a, (uint16_t)id, x, y)->sent = true;
		a->next_id = (uint16_t)(id + 1);
		break;
	case 'R':
		if (sscanf(line, "R %*u %u %u", &id, &x) == 2 &&
		    (f = app_flight_find(a, (uint16_t)id)) != NULL) {
			f->received = true;
			f->reason = (uint8_t)x;
		}
		break;
	case 'A':
	case 'G':
		if (sscanf(line + 1, "%*u %u", &id) == 1 &&
		    (f = app_flight_find(a, (uint16_t)id)) != NULL)
			app_flight_remove(a, f);
		break;
	case 'M':
		if (sscanf(line, "M %*u %u %u %*u %u %u %u", &id, &x, &y, &z, &w) == 5 && x == 2)
			a->held[id & 0xffff] = (struct app_held){true, (uint8_t)z, y, w};
		break;
	case 'L':
		if (sscanf(line, "L %*u %u", &id) == 1)
			a->held[id & 0xffff].held = false;
		break;
	}
}

void
app_ledger_open(struct app *a)
{
	char line[512];
	bool whole = true;
	FILE *f;

	a->ledger = open(a->o.ledger, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	f = fopen(a->o.ledger, "r");
	if (a->ledger < 0 || f == NULL) {
		perror(a->o.ledger);
		exit(3);
	}
	while (fgets(line, sizeof line, f) != NULL) {
		whole = strchr(line, '\n') != NULL;
		if (whole)
			ledger_take(a, line);
	}
	fclose(f);
	if (!whole) /* killed in the middle of a line: it does not count */
		ledger_write(a, " torn\n", 6);
	app_ledger(a, "B %d", (int)getpid());
}
