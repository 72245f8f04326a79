/* Stands in front of the system's <h2o.h>: only who links sq_h2o (cmake/sqmqos.cmake) sees it. */
#ifndef SQ_SEES_H2O
#error "h2o is not seen here: only web/ and what speaks HTTP by it link sq_h2o"
#else
#include_next <h2o.h>
#endif
