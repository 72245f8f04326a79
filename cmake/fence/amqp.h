/* Stands in front of the system's <amqp.h>: broker/bridge/amqp sees it, its tests, and its benchmark. */
#ifndef SQ_SEES_AMQP
#error "librabbitmq is not seen here: broker/bridge/amqp is the one that speaks AMQP"
#else
#include_next <amqp.h>
#endif
