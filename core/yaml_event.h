/* Tag ("!!python/object") and anchor ("&x") of a libyaml event that starts a value; values of all
 * three kinds may have them. */
#ifndef SQ_CORE_YAML_EVENT_H
#define SQ_CORE_YAML_EVENT_H

#include <yaml.h>

/* The full tag ("tag:yaml.org,2002:map"), which belongs to the event; NULL: none was written. */
static inline const char *
sq_yaml_tag(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)e->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)e->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return (const char *)e->data.mapping_start.tag;
	default:
		return NULL;
	}
}

/* The anchor's name, which belongs to the event; NULL: none. */
static inline const char *
sq_yaml_anchor(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)e->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)e->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)e->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

#endif
