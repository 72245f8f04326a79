/* What the program says about its command line, in front of its configuration's keys. */
#ifndef SQ_BROKER_CONFIG_USAGE_H
#define SQ_BROKER_CONFIG_USAGE_H

extern const char sq_broker_usage[];

#endif
