import { busy, call, one, show } from './call.mjs';

export function startAssistant() {
  const form = one('assistant-form');
  const answer = one('assistant-answer');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void busy(form.querySelector('button'), async () => {
      answer.textContent = '';
      answer.classList.add('writing');
      const prompt = new URLSearchParams({ prompt: one('prompt').value });
      const made = await call('GET', `/assistant?${prompt}`, {
        onText: (text) => {
          answer.textContent = text;
        },
      });
      answer.classList.remove('writing');
      show(one('assistant-result'), made);
    });
  });
}
