// A button that goes somewhere is a link, with the router's typed paths.
import { Button, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, Ref } from 'react';

type Props = ButtonProps & Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof ButtonProps> & { ref?: Ref<HTMLAnchorElement> };

function Anchored(props: Props) {
  return <Button component="a" {...props} />;
}

export const LinkButton = createLink(Anchored);
