/* Resources of dead letters (docs/http.md, "Dead letters"). */
#ifndef SQ_BROKER_FRONT_HTTP_LETTERS_H
#define SQ_BROKER_FRONT_HTTP_LETTERS_H

#include "broker/front/http/asked.h"

extern sq_http_prepare sq_http_letters;
extern sq_http_handler sq_http_redrive;

#endif
