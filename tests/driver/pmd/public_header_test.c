/* The public header must compile as plain C. */
#include "driver/pmd/rte_pmd_saline.h"

int saline_public_header_is_c(void);
int saline_public_header_is_c(void) { return rte_pmd_saline_reason_offset(); }
