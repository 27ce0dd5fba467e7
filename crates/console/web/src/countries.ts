// The countries that are offered for numbers without a country code.
export const COUNTRIES = ['EG', 'SA', 'AE', 'KW', 'QA', 'BH', 'OM', 'JO', 'LB', 'IQ', 'MA', 'DZ', 'TN', 'LY', 'SD', 'YE', 'PS', 'SY', 'ES', 'MX', 'AR', 'CO', 'CL', 'PE', 'EC', 'UY', 'BR', 'PT', 'US', 'CA', 'GB', 'IE', 'FR', 'DE', 'IT', 'NL', 'TR', 'IN', 'ID', 'PK', 'NG', 'KE', 'ZA'];
