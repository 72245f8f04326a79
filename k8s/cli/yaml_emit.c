/* YAML from JSON, by libyaml's emitter; see yaml_emit.h. */
#include "k8s/cli/yaml_emit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "k8s/patch/yaml_json.h"

static int
emit_write(void *data, unsigned char *bytes, size_t len)
{
	sq_buf_append(data, bytes, len);
	return 1;
}

/* "12:30", "2001-12-14": a time, a date or a number to some readers of YAML. */
static bool
text_is_time(const char *text, size_t len)
{
	const char *dash = strchr(text, '-');

	return text[0] >= '0' && text[0] <= '9' && strspn(text, "0123456789:-TZtz .+") == len &&
	    (strchr(text, ':') != NULL || (dash != NULL && strchr(dash + 1, '-') != NULL));
}

/* Whether a text without quotes is read as the same text. */
static bool
text_is_plain(const char *text, size_t len)
{
	json_t *v = sq_yaml_plain(text, len);
	bool plain = json_is_string(v) && strcmp(text, "<<") != 0 && strcmp(text, "=") != 0;

	json_decref(v);
	return plain && !text_is_time(text, len);
}

static yaml_scalar_style_t
text_style(const char *text, size_t len)
{
	if (memchr(text, '\n', len) != NULL)
		return YAML_LITERAL_SCALAR_STYLE;
	return text_is_plain(text, len) ? YAML_PLAIN_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE;
}

static bool
emit_scalar(yaml_emitter_t *e, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;

	return yaml_scalar_event_initialize(
		   &event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1, style) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;
}

static bool
emit_text(yaml_emitter_t *e, const char *text, size_t len)
{
	return emit_scalar(e, text, len, text_style(text, len));
}

/* A real number in as few digits as give it back. */
static void
real_print(double v, char out[64])
{
	snprintf(out, 48, "%.15g", v);
	if (strtod(out, NULL) != v)
		snprintf(out, 48, "%.17g", v);
	if (strpbrk(out, ".e") == NULL)
		strcat(out, ".0");
}

static bool
emit_plain(yaml_emitter_t *e, const json_t *v)
{
	char text[64];

	if (json_is_real(v))
		real_print(json_real_value(v), text);
	else if (json_is_integer(v))
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else
		snprintf(text, sizeof text, "%s",
		    json_is_true(v)        ? "true"
			: json_is_false(v) ? "false"
					   : "null");
	return emit_scalar(e, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_value(yaml_emitter_t *e, const json_t *v);

static bool
emit_list(yaml_emitter_t *e, const json_t *v)
{
	yaml_event_t event;
	const json_t *item;
	size_t i;
	bool ok = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
		      json_array_size(v) > 0 ? YAML_BLOCK_SEQUENCE_STYLE
					     : YAML_FLOW_SEQUENCE_STYLE) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;

	json_array_foreach(v, i, item)
	{
		ok = ok && emit_value(e, item);
	}
	return ok && yaml_sequence_end_event_initialize(&event) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;
}

static bool
emit_map(yaml_emitter_t *e, const json_t *v)
{
	yaml_event_t event;
	const char *key;
	json_t *value;
	bool ok = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
		      json_object_size(v) > 0 ? YAML_BLOCK_MAPPING_STYLE
					      : YAML_FLOW_MAPPING_STYLE) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;

	json_object_foreach((json_t *)v, key, value)
	    ok = ok && emit_text(e, key, strlen(key)) && emit_value(e, value);
	return ok && yaml_mapping_end_event_initialize(&event) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;
}

static bool
emit_value(yaml_emitter_t *e, const json_t *v)
{
	if (json_is_object(v))
		return emit_map(e, v);
	if (json_is_array(v))
		return emit_list(e, v);
	if (json_is_string(v))
		return emit_text(e, json_string_value(v), json_string_length(v));
	return emit_plain(e, v);
}

static bool
emit_document(yaml_emitter_t *e, const json_t *v)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) != 0 &&
	    yaml_emitter_emit(e, &event) != 0 &&
	    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) != 0 &&
	    yaml_emitter_emit(e, &event) != 0 && emit_value(e, v) &&
	    yaml_document_end_event_initialize(&event, 1) != 0 &&
	    yaml_emitter_emit(e, &event) != 0 && yaml_stream_end_event_initialize(&event) != 0 &&
	    yaml_emitter_emit(e, &event) != 0;
}

int
sq_yaml_emit(const json_t *value, struct sq_buf *out)
{
	yaml_emitter_t e;
	bool ok;

	if (yaml_emitter_initialize(&e) == 0)
		return SQ_ENOMEM;
	yaml_emitter_set_output(&e, emit_write, out);
	yaml_emitter_set_unicode(&e, 1);
	yaml_emitter_set_width(&e, -1);
	ok = emit_document(&e, value);
	yaml_emitter_delete(&e);
	return ok ? 0 : SQ_EINVAL;
}
